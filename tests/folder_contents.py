"""A folder → the bytes of its files, to compare it with another one or with itself later; and a bit that changes."""

import os


def contents(folder):
    """Name of each file below the folder → its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def flip_bit(file, place=-3):
    """Changes one bit of a file in place: the same inode, with its time put back."""
    state, content = file.stat(), bytearray(file.read_bytes())
    content[place] ^= 1
    with file.open("r+b") as out:
        out.write(content)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
