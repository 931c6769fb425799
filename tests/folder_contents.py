"""A folder → the bytes of its files, to compare it with another one or with itself later."""


def contents(folder):
    """Name of each file below the folder → its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
