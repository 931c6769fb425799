"""Languages: ISO 639-1 code, FLORES codes and the English name that a demonstration spells out."""

import difflib
from dataclasses import dataclass
from typing import Any

from jaxprune.errors import InputError
from jaxprune.schema import are_names, rule


@dataclass(frozen=True)
class Language:
    """A language of the demonstrations.

    Attributes:
      code: ISO 639-1, or 639-3 where there is no two-letter code.
      flores: its codes in FLORES-200 and, where it was renamed there, FLORES+; empty if in neither.
      name: English name, as in the prompt "French: …".
    """

    code: str
    flores: tuple[str, ...]
    name: str


# Every FLORES language with a two-letter code, and what XGLM, BLOOM and mGPT read beyond those.
# code, FLORES codes ("-": none), name
_TABLE = """
af afr_Latn Afrikaans
ak aka_Latn,twi_Latn_asan1239 Akan
am amh_Ethi Amharic
ar arb_Arab Arabic
as asm_Beng Assamese
ay ayr_Latn Aymara
az azj_Latn Azerbaijani
ba bak_Cyrl Bashkir
be bel_Cyrl Belarusian
bg bul_Cyrl Bulgarian
bm bam_Latn Bambara
bn ben_Beng Bengali
bo bod_Tibt Tibetan
bs bos_Latn Bosnian
bxr - Buryat
ca cat_Latn Catalan
cs ces_Latn Czech
cv chv_Cyrl Chuvash
cy cym_Latn Welsh
da dan_Latn Danish
de deu_Latn German
dz dzo_Tibt Dzongkha
ee ewe_Latn Ewe
el ell_Grek Greek
en eng_Latn English
eo epo_Latn Esperanto
es spa_Latn Spanish
et est_Latn,ekk_Latn Estonian
eu eus_Latn Basque
fa pes_Arab Persian
ff fuv_Latn Fulah
fi fin_Latn Finnish
fj fij_Latn Fijian
fo fao_Latn Faroese
fon fon_Latn Fon
fr fra_Latn French
ga gle_Latn Irish
gd gla_Latn Scottish Gaelic
gl glg_Latn Galician
gn grn_Latn,gug_Latn Guarani
gu guj_Gujr Gujarati
ha hau_Latn Hausa
he heb_Hebr Hebrew
hi hin_Deva Hindi
hr hrv_Latn Croatian
ht hat_Latn Haitian Creole
hu hun_Latn Hungarian
hy hye_Armn Armenian
id ind_Latn Indonesian
ig ibo_Latn Igbo
is isl_Latn Icelandic
it ita_Latn Italian
ja jpn_Jpan Japanese
jv jav_Latn Javanese
ka kat_Geor Georgian
kg kon_Latn,ktu_Latn Kongo
ki kik_Latn Kikuyu
kk kaz_Cyrl Kazakh
km khm_Khmr Khmer
kn kan_Knda Kannada
ko kor_Hang Korean
kr knc_Latn Kanuri
ks kas_Arab Kashmiri
ku kmr_Latn Kurdish
ky kir_Cyrl Kyrgyz
lb ltz_Latn Luxembourgish
lg lug_Latn Ganda
li lim_Latn Limburgish
ln lin_Latn Lingala
lo lao_Laoo Lao
lt lit_Latn Lithuanian
lv lvs_Latn Latvian
mg plt_Latn Malagasy
mi mri_Latn Maori
mk mkd_Cyrl Macedonian
ml mal_Mlym Malayalam
mn khk_Cyrl Mongolian
mr mar_Deva Marathi
ms zsm_Latn Malay
mt mlt_Latn Maltese
my mya_Mymr Burmese
nb nob_Latn Norwegian Bokmål
ne npi_Deva Nepali
nl nld_Latn Dutch
nn nno_Latn Norwegian Nynorsk
no nob_Latn Norwegian
nso nso_Latn Northern Sotho
ny nya_Latn Nyanja
oc oci_Latn Occitan
om gaz_Latn Oromo
or ory_Orya Odia
os - Ossetian
pa pan_Guru Punjabi
pl pol_Latn Polish
ps pbt_Arab Pashto
pt por_Latn Portuguese
qu quy_Latn Quechua
quz quy_Latn Quechua
rn run_Latn Rundi
ro ron_Latn Romanian
ru rus_Cyrl Russian
rw kin_Latn Kinyarwanda
sa san_Deva Sanskrit
sah - Yakut
sc srd_Latn Sardinian
sd snd_Arab Sindhi
sg sag_Latn Sango
si sin_Sinh Sinhala
sk slk_Latn Slovak
sl slv_Latn Slovenian
sm smo_Latn Samoan
sn sna_Latn Shona
so som_Latn Somali
sq als_Latn Albanian
sr srp_Cyrl Serbian
ss ssw_Latn Swati
st sot_Latn Southern Sotho
su sun_Latn Sundanese
sv swe_Latn Swedish
sw swh_Latn Swahili
ta tam_Taml Tamil
te tel_Telu Telugu
tg tgk_Cyrl Tajik
th tha_Thai Thai
ti tir_Ethi Tigrinya
tk tuk_Latn Turkmen
tl tgl_Latn,fil_Latn Tagalog
tn tsn_Latn Tswana
tr tur_Latn Turkish
ts tso_Latn Tsonga
tt tat_Cyrl Tatar
tum tum_Latn Tumbuka
tw twi_Latn,twi_Latn_akua1239 Twi
tyv tyv_Cyrl Tuvan
ug uig_Arab Uyghur
uk ukr_Cyrl Ukrainian
ur urd_Arab Urdu
uz uzn_Latn Uzbek
vi vie_Latn Vietnamese
wo wol_Latn Wolof
xal - Kalmyk
xh xho_Latn Xhosa
yi ydd_Hebr Yiddish
yo yor_Latn Yoruba
yue yue_Hant Cantonese
zh zho_Hans,cmn_Hans Chinese
zu zul_Latn Zulu
"""


def _read(line: str) -> Language:
    code, flores, name = line.split(" ", 2)
    return Language(code, () if flores == "-" else tuple(flores.split(",")), name)


LANGUAGES: dict[str, Language] = {
    language.code: language for language in map(_read, _TABLE.strip().splitlines())
}


def language(code: str) -> Language:
    """The language of an ISO 639-1 code.

    Raises:
      InputError: the table has no such code; the message names the closest ones.
    """
    if code in LANGUAGES:
        return LANGUAGES[code]
    spelled = {
        spelling.lower(): known.code
        for known in LANGUAGES.values()
        for spelling in (known.name, *known.flores)
    }
    close = difflib.get_close_matches(str(code).lower(), [*spelled, *LANGUAGES], n=1)
    hint = f" (did you mean {spelled.get(close[0], close[0])}?)" if close else ""
    raise InputError(f"language {code!r} is not known; allowed: a code such as fr{hint}")


def languages_field(meaning: str) -> Any:
    """Codes of LANGUAGES with commas; not set: those of the data (`texts.chosen_languages`)."""
    allowed = "codes such as fr,de,sw, each once"
    return rule(allowed, lambda value: are_names(value, LANGUAGES), meaning=meaning)
