"""What the paper claims, measured on runs.

Sources are figures of the paper; published values are those of the released code, one seed, as
this project's specification gives them, where the paper has no number.
"""
