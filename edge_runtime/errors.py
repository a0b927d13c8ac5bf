"""The error tree.

EdgeError                 something the user can act on: one clear line, exit code 2 where nothing runs yet
├── ConfigError           a config file is wrong; names file, key, value, what was expected
├── BundleError           a model bundle is missing, altered or incomplete
├── InputError            a camera or sensor could not be opened or stopped answering
├── SessionError          a model could not be loaded or failed on one input
│   └── DeviceLostError   the GPU is of no use to this process any more: the part has to start afresh
├── DisplayError          no picture can be shown
├── ReleaseError          a release is not signed as asked, altered, older than policy allows, or cannot be kept here
│   └── TrialFailed       a release was tried, did worse than the one before, and that one is back
├── ChannelError          a part's channel broke or a message breaks its rules
└── Refused               a command was understood and not obeyed; the reason goes back to the sender
"""


class EdgeError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(EdgeError, ValueError):
    """A config file is wrong."""


class BundleError(EdgeError):
    """A model bundle is missing, altered or incomplete."""


class InputError(EdgeError, OSError):
    """An input could not be opened, or stopped answering. The caller reopens it with back-off."""


class SessionError(EdgeError):
    """A model could not be loaded or failed on one input; after a failed run the session stays usable."""


class DeviceLostError(SessionError):
    """The GPU is of no use to this process any more; another process may use it."""


class DisplayError(EdgeError):
    """The display could not be opened or lost its window."""


class ReleaseError(EdgeError):
    """A release is not signed as asked, altered, older than policy allows, or cannot be kept here. Nothing changed."""


class TrialFailed(ReleaseError):  # noqa: N818 - what happened, not what is wrong
    """A release was tried, did worse than the one before it, and that one is back. `str(error)` is the reason."""


class ChannelError(EdgeError):
    """A channel broke, or a message is larger or stranger than the contract allows."""


class Refused(EdgeError):  # noqa: N818 - it reads as what it is: raise Refused(reason)
    """A command that is not obeyed. `str(error)` is the reason told to its sender."""
