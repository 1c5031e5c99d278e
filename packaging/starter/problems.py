"""Word problems about numbers, which the starter shall refuse: it adds and subtracts, and reads no stories."""

from __future__ import annotations

from random import Random

from names import NAMES

_THINGS = {
    "en": (
        *(
            "apples",
            "books",
            "eggs",
            "tickets",
            "marbles",
            "pages",
            "cookies",
            "pencils",
            "chairs",
            "stamps",
            "coins",
        ),
        *(
            "bottles",
            "shirts",
            "flowers",
            "boxes",
            "candles",
            "toys",
            "sandwiches",
            "miles",
            "hours",
            "letters",
            "cards",
        ),
    ),
    "zh": (
        "个苹果",
        "本书",
        "个鸡蛋",
        "张票",
        "颗弹珠",
        "页",
        "块饼干",
        "支铅笔",
        "把椅子",
        "枚邮票",
        "瓶水",
        "件衬衫",
        "朵花",
        "个盒子",
    ),
}
_SENTENCES = {
    "en": (
        "{A} has {n} {thing}.",
        "{A} buys {n} {thing} for ${m} each.",
        "{A} sells {n} {thing} every day for {m} days.",
        "Every week {A} makes {n} {thing} and gives {k} of them to {B}.",
        "{B} has {k} times as many {thing} as {A}.",
        "{A} is {n} years old, and {B} is {k} years younger.",
        "A shop sold {n} {thing} on Monday and {k}% more on Tuesday.",
        "{A} reads {n} pages a day, and {B} reads twice as many.",
        "A train travels at {n} miles per hour for {k} hours.",
        "Half of the {n} {thing} are broken.",
        "{A} earns ${n} an hour and works {k} hours a day.",
        "There are {n} {thing} in a box, and {m} boxes on a shelf.",
        "{A} spent ${n} on {thing} and a third of the rest on lunch.",
        "{A} eats {k} {thing} for breakfast and bakes the rest into cakes with {m} {thing}.",
        "It takes {A} {n} minutes to walk to school and {k} minutes to come back by bus.",
        "{A} and {B} share {n} {thing} between them in the ratio {k} to {m}.",
        "The price of {thing} went up by {k} percent this year.",
        "In a class of {n} students, {k} play football and the others play tennis.",
    ),
    "zh": (
        "{A}有 {n} {thing}。",
        "{A}买了 {n} {thing}，每份 {m} 元。",
        "{A}每天卖 {n} {thing}，卖了 {m} 天。",
        "{B}的数量是{A}的 {k} 倍。",
        "{A}今年 {n} 岁，{B}比他小 {k} 岁。",
        "商店周一卖出 {n} {thing}，周二多卖了百分之 {k}。",
        "一列火车每小时行驶 {n} 公里，行驶了 {k} 小时。",
        "{A}每小时挣 {n} 元，每天工作 {k} 小时。",
        "盒子里有 {n} {thing}，架子上有 {m} 个盒子。",
        "{A}花了一半的钱，又给了{B} {k} 元。",
        "一个班有 {n} 名学生，其中 {k} 人踢足球。",
    ),
}
_QUESTIONS = {
    "en": (
        *(
            "How many {thing} does {A} have left?",
            "How much money does {A} make in a week?",
            "How old is {B}?",
        ),
        *(
            "How many {thing} are there in total?",
            "What is the total cost?",
            "How many hours does it take altogether?",
        ),
        *("How much did {A} spend?", "How many more {thing} does {B} need?", "What is the average per day?"),
        *("How far does it travel?", "What percentage is that?", "How many {thing} does each of them get?"),
        *("How much change does {A} get?", "How many days will they last?", "What fraction is left?"),
    ),
    "zh": (
        *(
            "{A}还剩多少？",
            "一共有多少？",
            "一共花了多少钱？",
            "{B}今年几岁？",
            "平均每天多少？",
            "他一周能挣多少钱？",
        ),
        *(
            "总共需要几个小时？",
            "{B}还需要多少？",
            "一共行驶了多少公里？",
            "找回多少钱？",
            "每人分到多少？",
            "占百分之几？",
        ),
    ),
}
# Arithmetic that is none of the starter's.
_BEYOND = {
    "en": (
        *(
            "What is {n} times {m}?",
            "{n} * {m}",
            "{n} x {m} = ?",
            "{n} / {k}",
            "What is {n} divided by {k}?",
            "{n} × {m}",
        ),
        *(
            "{N} + {M}",
            "What is {N} plus {M}?",
            "{N} - {M}",
            "What is {n} percent of {N}?",
            "square root of {N}",
        ),
        *(
            "{n} squared",
            "{k} to the power of {m}",
            "What is {n} + {m} * {k}?",
            "Solve x + {n} = {m}",
            "{n} mod {k}",
        ),
        *(
            "What is {n}.5 + {m}.2?",
            "{N} plus {n}",
            "multiply {n} by {m}",
            "{N} minus {n}",
            "{n} + {m} + {k}",
        ),
        *(
            "What is the square of {n}?",
            "Is {N} a prime number?",
            "Convert {n} kilometres to miles",
            "factorial of {k}",
        ),
    ),
    "zh": (
        *(
            "{n}乘以{m}等于多少？",
            "{n} × {m}",
            "{n}*{m}",
            "{n}除以{k}是多少？",
            "{n} ÷ {k}",
            "{N}加{M}等于几",
            "{N} + {M}",
        ),
        *(
            "{N}减{M}",
            "{n}的平方是多少",
            "{N}的百分之{n}是多少？",
            "{N}的平方根",
            "解方程 x + {n} = {m}",
            "{n} + {m} × {k}",
        ),
        *("{N} 是质数吗？", "{k} 的 {m} 次方", "{n}公里等于多少英里", "{n}.5 加 {m}.2"),
    ),
}


def draw(rng: Random, language: str) -> str:
    """A word problem, or arithmetic beyond two digits."""
    a, b = rng.sample(NAMES[language], 2)
    gaps = {
        "A": a,
        "B": b,
        "n": rng.randint(2, 99),
        "m": rng.randint(2, 60),
        "k": rng.randint(2, 12),
        "N": rng.randint(100, 9999),
        "M": rng.randint(100, 9999),
        "thing": rng.choice(_THINGS[language]),
    }
    if rng.random() < 0.35:
        return rng.choice(_BEYOND[language]).format(**gaps)
    sentences = []
    for template in rng.sample(_SENTENCES[language], rng.randint(1, 4)):
        gaps |= {"n": rng.randint(2, 300), "m": rng.randint(2, 60), "k": rng.randint(2, 12)}
        sentences.append(template.format(**gaps))
    sentences.append(rng.choice(_QUESTIONS[language]).format(**gaps))
    return (" " if language == "en" else "").join(sentences)
