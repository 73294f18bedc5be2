"""What the report claims, measured on results.

Published values are those of the released code as this project's specification gives them, where
the report has no number.
"""
