"""Fault injection in the manner of Jepsen: clients and commands are recorded, a nemesis does harm, a checker reads.

`python -m tests.nemesis run` starts the real service, has seeded clients ask it and seeded commands change its versions
while a seeded nemesis kills, pauses and damages it. Every operation is two lines of a history: when it was invoked and
what came of it. The rules in `checker` read that history and nothing else, so that one can be checked again, and each
rule be tried on histories written by hand.
"""
