"""Names that people may give in a chat; the starter learns to repeat one that it has just been told."""

from __future__ import annotations

from random import Random

NAMES = {
    "en": tuple(
        """Anna Ben Clara David Emma Felix Grace Henry Isla Jack Kate Leo Maria Noah Olivia Peter Quinn Rosa Sam Tom
        Uma Victor Wendy Xavier Yara Zoe Alice Bob Carol Daniel Ella Frank George Hannah Ivan Julia Kevin Laura Martin
        Nina Oscar Paula Richard Sarah Tim Ursula Vera William Amir Bianca Carlos Diego Elena Fatima Giulia Hiro Ines
        Jana Kofi Lena Mehmet Nadia Omar Priya Rahul Sofia Tariq Wei Yuki Zara Adam Beth Chris Dora Eric Fiona Gavin
        Helen Ian Jane Karl Lucy Mark Nora Otto Pia Rob Susan Thomas Ulrich Violet Walter Alex Bill Cindy Doris Edgar
        Freya Greg Holly Igor Joan Kurt Lily Max Nell Owen Pam Ralph Stella Ted Vince Will Mia Liam Ava Ethan""".split()  # noqa: SIM905 - a list of words reads as one
    ),
    "zh": tuple(
        """小明 小红 小刚 小丽 小华 小芳 小强 小雪 小龙 小燕 王伟 李娜 张敏 刘洋 陈静 杨帆 赵磊 黄磊 周杰 吴芳 徐丽 孙涛
        马超 朱莉 胡军 郭靖 何平 高翔 林峰 罗兰 梁晨 宋佳 郑爽 谢霆 韩梅 唐伟 冯玉 于洋 董洁 萧然 程成 曹阳 袁泉 邓超
        许晴 傅明 沈冰 曾黎 彭博 吕布 苏菲 卢卡 蒋欣 蔡明 贾玲 丁一 魏晨 薛凯 叶青 阎锐 余华 潘越 杜鹃 戴维 夏天 钟声
        汪涵 田野 任重 姜文 范冰 方圆 石头 姚远 谭晶 廖凡 邹静 熊猫 金星 陆毅 郝帅 孔明 白雪 崔健 康宁 毛毛 邱岳 秦岚
        江河 史诗 顾城 侯亮 邵峰 孟浩 龙飞 万里 段奕 钱多 汤圆 尹正 黎明 易阳 常青 武松 乔山 贺岁 赖皮 龚雪 文静""".split()  # noqa: SIM905
    ),
}
# Made-up names keep the network from knowing them by heart: it has to read them.
_MADE_UP = 0.6
_VOWELS, _CONSONANTS = "aeiou", "bcdfghjklmnprstvwz"


def draw(rng: Random, language: str) -> str:
    """A name; more than half of them nobody has."""
    if rng.random() >= _MADE_UP:
        return rng.choice(NAMES[language])
    if language == "zh":
        family = rng.choice(NAMES["zh"])[0]
        given = [rng.choice(rng.choice(NAMES["zh"])) for _ in range(rng.choice((1, 1, 2)))]
        return family + "".join(given)
    syllables = [rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(rng.choice((1, 2, 2, 3)))]
    return ("".join(syllables) + rng.choice(("", "n", "l", "r", "s", "th", "nd"))).capitalize()
