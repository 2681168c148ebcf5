"""`python -m text_classifier`: the command `text-classifier`, for an interpreter whose programs are not on PATH."""

from text_classifier.command import main

if __name__ == "__main__":
    main()
