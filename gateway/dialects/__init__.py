"""How are programs answered that were written for other servers?"""
