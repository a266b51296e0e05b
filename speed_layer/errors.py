"""What can go wrong in the speed layer: what stops it, and what it waits out."""


class SpeedLayerError(Exception):
    """A broken invariant: counting on would give a wrong number, so the process halts and says why."""


class OffsetsGoneError(SpeedLayerError):
    """Offsets that must be read are no longer in the log (retention), or not in it at all (another log)."""


class UnreadableLogError(SpeedLayerError):
    """The log holds bytes that no reader of ours can read."""


class OtherLogError(SpeedLayerError):
    """The topic is another log than the one that was counted."""


class TopicSettingsError(SpeedLayerError):
    """The topic is not set up the way counting needs it."""
