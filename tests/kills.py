"""Processes that are killed or fail at a step, without the process."""


class Killed(BaseException):
    """As a process ends that is killed: nothing handles it."""


def killed_after(steps, real):
    """A function that can be called as long as there are steps."""

    def call(*arguments, **how):
        if next(steps, None) is None:
            raise Killed
        return real(*arguments, **how)

    return call


def failing_at_last(steps, real):
    """A function that fails once, as on a full disk: at the step 0 of those that are left."""

    def call(*arguments, **how):
        if next(steps, None) == 0:
            raise OSError(28, "No space left on device")
        return real(*arguments, **how)

    return call
