"""What is measured, and under which load?"""
