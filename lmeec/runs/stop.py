"""The wish to end early, of predicting, cutting clips and training alike."""


class Stop:
    """The wish to end early: what is at hand is finished and kept, nothing else is begun."""

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        """Finish what is at hand only."""
        self.requested = True
