"""When to draft, and how much: as long as it pays by the clock."""

from __future__ import annotations

from dataclasses import dataclass

from hearth.engine.drafter import Drafter

SHORTEST, LONGEST = 3, 15  # with the token before them, 4 and 16 are scored
# A guess is made while drafted tokens come at least so much faster than plain ones.
LEAST_GAIN = 1.05
# Steps without a guess after one that did not pay; doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 16, 1024
# Weight of the newest measurement.
NEWEST = 0.3


@dataclass(slots=True)
class Drafting:
    """The drafts of one sequence, and what they have gained.

    Attributes:
        drafter: makes the guesses.
        length: of the next draft; it grows while all of a draft is right.
        step_seconds: what a plain step takes; 0 before one was measured.
        gain: tokens of a drafted step by what plain steps would have made in its time.
    """

    drafter: Drafter
    length: int = SHORTEST
    step_seconds: float = 0.0
    gain: float = 2.0
    pause: int = FIRST_PAUSE
    paused: int = 0

    def propose(self, token_ids: list[int], most: int) -> list[int]:
        """A draft of at most `most` tokens; none while it does not pay."""
        if self.paused:
            self.paused -= 1
            return []
        if not self.step_seconds or most < 1:
            return []
        return self.drafter.draft(token_ids, min(self.length, most))

    def decoded(self, seconds: float) -> None:
        """A plain step took so long."""
        self.step_seconds += (seconds - self.step_seconds) * (NEWEST if self.step_seconds else 1.0)

    def scored(self, drafted: int, accepted: int, seconds: float) -> None:
        """A draft was checked, and so many of its tokens were right."""
        gained = (accepted + 1) * self.step_seconds / seconds if seconds else self.gain
        self.gain += NEWEST * (gained - self.gain)
        if accepted == drafted:
            self.length = min(LONGEST, 2 * self.length + 1)
        else:
            self.length = max(SHORTEST, self.length // 2)
        if self.gain >= LEAST_GAIN:
            self.pause = FIRST_PAUSE
            return
        self.paused, self.pause = self.pause, min(LONGEST_PAUSE, 2 * self.pause)
        self.gain = LEAST_GAIN  # the next draft decides anew
