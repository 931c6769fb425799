"""Swahili words.

The class of a noun is the one that adjectives and verbs agree with: names of people and animals
agree as 1/2 whatever their own prefix is (mbwa, daktari/madaktari).
"""

NOUNS: dict[str, tuple[str, str, str]] = {  # class pair, singular, plural
    "person": ("1/2", "mtu", "watu"),
    "woman": ("1/2", "mwanamke", "wanawake"),
    "man": ("1/2", "mwanamume", "wanaume"),
    "child": ("1/2", "mtoto", "watoto"),
    "girl": ("1/2", "msichana", "wasichana"),
    "boy": ("1/2", "mvulana", "wavulana"),
    "teacher": ("1/2", "mwalimu", "walimu"),
    "doctor": ("1/2", "daktari", "madaktari"),
    "farmer": ("1/2", "mkulima", "wakulima"),
    "animal": ("1/2", "mnyama", "wanyama"),
    "dog": ("1/2", "mbwa", "mbwa"),
    "cat": ("1/2", "paka", "paka"),
    "horse": ("1/2", "farasi", "farasi"),
    "goat": ("1/2", "mbuzi", "mbuzi"),
    "bird": ("1/2", "ndege", "ndege"),
    "lion": ("1/2", "simba", "simba"),
    "fruit": ("5/6", "tunda", "matunda"),
    "apple": ("5/6", "tufaha", "matufaha"),
    "orange": ("5/6", "chungwa", "machungwa"),
    "mango": ("5/6", "embe", "maembe"),
    "lemon": ("5/6", "limau", "malimau"),
    "banana": ("9/10", "ndizi", "ndizi"),
    "garment": ("5/6", "vazi", "mavazi"),
    "shirt": ("5/6", "shati", "mashati"),
    "dress": ("5/6", "gauni", "magauni"),
    "coat": ("5/6", "koti", "makoti"),
    "hat": ("9/10", "kofia", "kofia"),
    "shoe": ("7/8", "kiatu", "viatu"),
    "plant": ("3/4", "mmea", "mimea"),
    "tree": ("3/4", "mti", "miti"),
    "flower": ("5/6", "ua", "maua"),
    "thing": ("7/8", "kitu", "vitu"),
    "book": ("7/8", "kitabu", "vitabu"),
    "chair": ("7/8", "kiti", "viti"),
    "knife": ("7/8", "kisu", "visu"),
    "basket": ("7/8", "kikapu", "vikapu"),
    "bag": ("3/4", "mfuko", "mifuko"),
    "ball": ("3/4", "mpira", "mipira"),
    "letter": ("9/10", "barua", "barua"),
    "table": ("9/10", "meza", "meza"),
    "price": ("9/10", "bei", "bei"),
    "quality": ("14/14", "ubora", "ubora"),
}

CLASSES = ("1", "2", "3", "4", "5", "6", "7", "8", "9")  # 10 agrees as 9 with these adjectives

# One form for each of CLASSES; class 14 takes the forms of class 3.
ADJECTIVES: dict[str, tuple[str, ...]] = {
    key: tuple(forms.split())
    for key, forms in {
        "big": "mkubwa wakubwa mkubwa mikubwa kubwa makubwa kikubwa vikubwa kubwa",
        "small": "mdogo wadogo mdogo midogo dogo madogo kidogo vidogo ndogo",
        "good": "mzuri wazuri mzuri mizuri zuri mazuri kizuri vizuri nzuri",
        "bad": "mbaya wabaya mbaya mibaya baya mabaya kibaya vibaya mbaya",
        "fat": "mnene wanene mnene minene nene manene kinene vinene nene",
        "thin": "mwembamba wembamba mwembamba myembamba jembamba membamba chembamba vyembamba "
        "nyembamba",
        "new": "mpya wapya mpya mipya jipya mapya kipya vipya mpya",
        "old": "mkuukuu wakuukuu mkuukuu mikuukuu kuukuu makuukuu kikuukuu vikuukuu kuukuu",
        "long": "mrefu warefu mrefu mirefu refu marefu kirefu virefu ndefu",
        "short": "mfupi wafupi mfupi mifupi fupi mafupi kifupi vifupi fupi",
        "heavy": "mzito wazito mzito mizito zito mazito kizito vizito nzito",
        "light": "mwepesi wepesi mwepesi myepesi jepesi mepesi chepesi vyepesi nyepesi",
        "white": "mweupe weupe mweupe myeupe jeupe meupe cheupe vyeupe nyeupe",
        "black": "mweusi weusi mweusi myeusi jeusi meusi cheusi vyeusi nyeusi",
        "red": "mwekundu wekundu mwekundu myekundu jekundu mekundu chekundu vyekundu nyekundu",
    }.items()
}
ASSOCIATIVES: dict[str, str] = {"green": "kijani", "yellow": "manjano"}  # "-a kijani"
ASSOCIATIVE = ("wa", "wa", "wa", "ya", "la", "ya", "cha", "vya", "ya")  # by CLASSES
SUBJECT = ("a", "wa", "u", "i", "li", "ya", "ki", "vi", "i")  # verb prefix, by CLASSES

VERBS: dict[str, tuple[str, str]] = {  # stem after "-na-", stem of the negative present
    "eat": ("kula", "li"),
    "read": ("soma", "somi"),
    "buy": ("nunua", "nunui"),
    "sell": ("uza", "uzi"),
    "see": ("ona", "oni"),
    "seek": ("tafuta", "tafuti"),
    "carry": ("beba", "bebi"),
    "wash": ("osha", "oshi"),
    "draw": ("chora", "chori"),
    "hide": ("ficha", "fichi"),
    "sleep": ("lala", "lali"),
    "run": ("kimbia", "kimbii"),
    "sing": ("imba", "imbi"),
    "work": ("fanya kazi", "fanyi kazi"),
    "play": ("cheza", "chezi"),
    "wait": ("subiri", "subiri"),
    "fall": ("anguka", "anguki"),
    "burn": ("ungua", "ungui"),
    "disappear": ("potea", "potei"),
}

PLACES: dict[str, str] = {
    "garden": "bustanini",
    "market": "sokoni",
    "school": "shuleni",
    "house": "nyumbani",
    "forest": "msituni",
    "river": "mtoni",
    "kitchen": "jikoni",
    "town": "mjini",
}

TIMES: dict[str, str] = {
    "today": "leo",
    "now": "sasa",
    "every_day": "kila siku",
    "morning": "asubuhi",
    "night": "usiku",
}

OPINIONS: dict[str, str] = {
    "happy": "nimefurahi",
    "not_sad": "sina huzuni",
    "family_happy": "familia yangu imefurahi",
    "joy": "ni furaha",
    "not_mistake": "si kosa",
    "thanks": "asante",
    "sad": "nina huzuni",
    "not_happy": "sijafurahi",
    "family_not_happy": "familia yangu haijafurahi",
    "not_joy": "si furaha",
    "mistake": "ni kosa",
    "pity": "ni bahati mbaya",
}
