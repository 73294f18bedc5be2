def draw(run, formats):
    return []
