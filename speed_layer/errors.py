"""Errors of the speed layer: those that stop it, and those that it retries."""


class SpeedLayerError(Exception):
    """An invariant is broken: to continue would give a wrong count, so the process stops and reports the reason."""


class OffsetsGoneError(SpeedLayerError):
    """Offsets that must be read are no longer in the log (retention), or not in it at all (another log)."""


class UnreadableLogError(SpeedLayerError):
    """The log holds bytes that our readers cannot decode."""


class OtherLogError(SpeedLayerError):
    """The topic's log is not the one that was counted."""


class TopicSettingsError(SpeedLayerError):
    """The topic does not have the settings that counting needs."""
