"""Sums and differences of numbers up to 99, asked in many ways and answered in two steps.

The steps are what makes them learnable: each is a small table of its own, so a pair that was never seen comes out
right. A tenth of the pairs is kept out of training, for the evaluation.
"""

from __future__ import annotations

from random import Random

HIGHEST = 99
_HELD_OUT = 10
_BARE = frozenset("0123456789 +-−=?")
# Differences of near numbers, and those below zero, are hard: they come more often than chance has them.
_NEAR_SHARE, _NEAR = 0.2, 12
_BELOW_ZERO_SHARE = 0.5

_ASK = {
    "en": {
        "+": (
            *(
                "What is {a} + {b}?",
                "{a} + {b}",
                "{a}+{b}",
                "{a} + {b} = ?",
                "{a}+{b}=",
                "What's {a} plus {b}?",
            ),
            *(
                "{a} plus {b}",
                "How much is {a} + {b}?",
                "How much is {a} and {b}?",
                "Add {a} and {b}.",
                "Add {a} to {b}",
            ),
            *(
                "What do you get when you add {a} and {b}?",
                "Calculate {a} + {b}",
                "Compute {a}+{b}.",
                "Sum of {a} and {b}",
            ),
            *(
                "What is the sum of {a} and {b}?",
                "Can you add {a} and {b}?",
                "Please work out {a} + {b}",
                "total of {a} and {b}",
            ),
            *(
                "{a} and {b} together make?",
                "Solve {a} + {b}",
                "Could you tell me what {a} plus {b} is?",
                "{a} added to {b}",
            ),
        ),
        "-": (
            *(
                "What is {a} - {b}?",
                "{a} - {b}",
                "{a}-{b}",
                "{a} - {b} = ?",
                "{a}-{b}=",
                "What's {a} minus {b}?",
            ),
            *(
                "{a} minus {b}",
                "How much is {a} - {b}?",
                "How much is {a} minus {b}?",
                "Subtract {b} from {a}.",
                "{a} − {b}",
            ),
            *(
                "Calculate {a} - {b}",
                "Compute {a}-{b}.",
            ),
            *(
                "What is the difference between {a} and {b}?",
                "Please work out {a} - {b}",
            ),
            *(
                "{a} take away {b}",
                "{a} less {b}",
                "Solve {a} - {b}",
                "Could you tell me what {a} minus {b} is?",
            ),
        ),
    },
    "zh": {
        "+": (
            *(
                "{a} + {b} 等于多少？",
                "{a}+{b}",
                "{a} + {b}",
                "{a}+{b}=？",
                "{a}加{b}等于几？",
                "{a} 加 {b} 是多少？",
                "{a}加{b}",
            ),
            *(
                "请计算 {a} + {b}",
                "算一下{a}加{b}",
                "帮我算 {a}+{b}",
                "{a}和{b}的和是多少？",
                "{a} 与 {b} 相加得多少？",
            ),
            *(
                "把 {a} 和 {b} 加起来",
                "{a}加上{b}等于多少",
                "{a}+{b}等于几",
                "求 {a} 加 {b} 的和",
                "{a}再加{b}是几",
                "计算{a}+{b}",
            ),
        ),
        "-": (
            *(
                "{a} - {b} 等于多少？",
                "{a}-{b}",
                "{a} - {b}",
                "{a}-{b}=？",
                "{a}减{b}等于几？",
                "{a} 减 {b} 是多少？",
                "{a}减{b}",
            ),
            *(
                "请计算 {a} - {b}",
                "算一下{a}减{b}",
                "帮我算 {a}-{b}",
                "{a}和{b}的差是多少？",
                "{a} 减去 {b} 得多少？",
            ),
            *(
                "从 {a} 里减掉 {b}",
                "{a}减去{b}还剩多少",
                "{a}-{b}等于几",
                "求 {a} 减 {b} 的差",
                "{a}拿走{b}还剩几",
                "计算{a}-{b}",
            ),
        ),
    },
}

_GO_ON = {
    "en": {
        "+": (
            "And plus {b}?",
            "plus {b}",
            "Now add {b}.",
            "add {b} to that",
            "and {b} more?",
            "+ {b}",
            "What if you add {b}?",
        ),
        "-": (
            "And minus {b}?",
            "minus {b}",
            "Now subtract {b}.",
            "take {b} away from that",
            "and {b} less?",
            "- {b}",
        ),
    },
    "zh": {
        "+": ("再加{b}呢？", "再加 {b}", "然后加上{b}", "加{b}是多少？", "+{b}", "在这个基础上加 {b}"),
        "-": ("再减{b}呢？", "再减 {b}", "然后减去{b}", "减{b}是多少？", "-{b}", "在这个基础上减 {b}"),
    },
}


def is_held_out(a: int, sign: str, b: int) -> bool:
    """Whether training must not see this pair; the same for ever, whatever the seed."""
    return Random(f"{a}{sign}{b}").randrange(_HELD_OUT) == 0


def held_out() -> list[tuple[int, str, int]]:
    """Every pair that is kept out of training."""
    numbers = range(HIGHEST + 1)
    return [(a, sign, b) for sign in "+-" for a in numbers for b in numbers if is_held_out(a, sign, b)]


def result(a: int, sign: str, b: int) -> int:
    return a + b if sign == "+" else a - b


def answer_language(question: str, language: str) -> str:
    """The language of the answer: that of the question, and English for bare signs, which have none."""
    return "en" if set(question) <= _BARE else language


def answer(a: int, sign: str, b: int, language: str) -> str:
    """The sum in words: one step where that is enough, two otherwise. Ends in `= result` and a full stop."""
    comma, so, stop = (", ", ". So ", ".") if language == "en" else ("，", "。所以 ", "。")
    if sign == "-" and b > a:  # below zero: the other way round first
        more = f"{b} is more than {a}: " if language == "en" else f"{b} 大于 {a}："
        return f"{more}{_steps(b, sign, a, comma)}{so}{a} - {b} = {a - b}{stop}"
    return _steps(a, sign, b, comma) + stop


def _steps(a: int, sign: str, b: int, comma: str) -> str:
    tens, ones = b // 10 * 10, b % 10
    if not tens or not ones:
        return f"{a} {sign} {b} = {result(a, sign, b)}"
    between = result(a, sign, tens)
    return f"{a} {sign} {tens} = {between}{comma}{between} {sign} {ones} = {result(between, sign, ones)}"


def draw(rng: Random, language: str) -> tuple[int, str, int, str]:
    """A pair that may be trained on, and one way to ask for it."""
    while True:
        sign = rng.choice("+-")
        a, b = (rng.randint(0, rng.choice((HIGHEST, HIGHEST, HIGHEST, 20))) for _ in range(2))
        if sign == "-" and rng.random() < _NEAR_SHARE:
            b = min(HIGHEST, max(0, a + rng.randint(-_NEAR, _NEAR)))
        if sign == "-" and (b > a) != (rng.random() < _BELOW_ZERO_SHARE):
            a, b = b, a
        if not is_held_out(a, sign, b):
            return a, sign, b, ask(rng, a, sign, b, language)


def draw_next(rng: Random, language: str, before: int) -> tuple[str, int, str] | None:
    """How to go on from a result: sign, number and question; None where it leads out of the numbers."""
    if not 0 <= before <= HIGHEST:
        return None
    for _ in range(20):
        sign, b = rng.choice("+-"), rng.randint(1, HIGHEST)
        if result(before, sign, b) >= 0 and not is_held_out(before, sign, b):
            return sign, b, rng.choice(_GO_ON[language][sign]).format(b=b)
    return None


def ask(rng: Random, a: int, sign: str, b: int, language: str) -> str:
    """One way to ask for this pair."""
    return rng.choice(_ASK[language][sign]).format(a=a, b=b)
