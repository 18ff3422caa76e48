"""Small words of several languages: function words, negations, greetings, fillers, and neutral words for coloured ones.

By hand: lists on the registries are unmaintained, or hold content words too. Of a language that is not here only single
letters count as small.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def words_of(text: str) -> frozenset[str]:
    """The words of a list written as one text."""
    return frozenset(text.split())


FUNCTION: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "a an the and or but if so as at by for from in into of off on onto out over to up with about than then "
        "that this these those there here it its he him his she her they them their we us our you your i me my mine "
        "yours is am are was were be been being do does did done have has had having will would shall should can could "
        "may might must which who whom whose what when where while also just too very because been i'm i'll i've i'd "
        "it's that's we're we'll we've you're you'll you've they're he's she's there's let's",
        "de": "der die das den dem des ein eine einen einem einer eines und oder aber wenn weil dass ob als wie zu zum "
        "zur im in an am auf aus bei beim mit nach von vom vor für über unter um durch ich du er sie es wir ihr mich "
        "mir "
        "dich dir ihn ihm uns euch ihnen mein dein sein unser euer meine deine seine unsere ist bin bist sind "
        "seid "
        "war waren wird werden wurde wurden hat habe haben hatte hatten kann können muss müssen soll sollen will "
        "wollen auch noch schon nur sehr so da dort hier dann denn man sich sowie dieser diese dieses dies",
        "fr": "le la les un une des du de et ou mais si que qui quoi dont où à au aux en dans par pour sur sous avec "
        "je tu il elle on nous vous ils elles me te se lui leur y mon ton son notre votre ma ta sa mes tes ses nos vos "
        "leurs ce cet cette ces cela ça est suis es sommes êtes sont était être été ai as a avons avez ont avoir sera "
        "serait peut aussi très plus donc alors car comme l d j m t s c qu",
        "es": "el la los las un una unos unas de del y o u e pero si que quien cual donde cuando como a al en con por "
        "para sobre desde hasta entre yo tú él ella usted nosotros ustedes ellos ellas me te se le les lo nos os mi tu "
        "su mis tus sus nuestro este esta estos estas ese esa eso esto es soy eres somos son era fue ser está estoy "
        "están estar ha he has han hay haber será puede también muy más ya así",
        "it": "il lo la i gli le un uno una di del della dei delle dello degli e o ma se che chi cui dove quando come "
        "a "
        "al alla ai alle in nel nella con col per tra fra su sul sulla da dal dalla io tu lui lei noi voi loro mi "
        "ti si "
        "ci vi ne mio tuo suo nostro vostro questo questa questi queste quello è sono sei siamo siete era essere ho "
        "hai "
        "ha abbiamo hanno avere sarà può anche molto più già così",
        "pt": "o a os as um uma uns umas de do da dos das e ou mas se que quem onde quando como em no na nos nas com "
        "por para pelo pela sobre desde até entre eu tu ele ela você nós eles elas me te lhe meu minha seu sua nosso "
        "este esta isto esse essa isso é sou somos são era foi ser está estou estão estar tem tenho há será pode "
        "também muito mais já",
        "nl": "de het een en of maar als omdat dat die dit deze wie wat waar wanneer hoe te aan bij in op uit van voor "
        "met naar over onder door om ik jij je hij zij ze wij we jullie u mij me hem "
        "haar ons hun mijn jouw zijn is ben "
        "bent was waren worden wordt werd heb hebt heeft hebben had kan kunnen moet moeten zal zullen wil ook nog al "
        "alleen zeer zo er daar hier dan",
    }.items()
}

DROPPABLE: Mapping[str, frozenset[str]] = {"en": words_of("a an the that so also very too just")}
"""Small words that a text can lose and still say the same."""

NEGATIONS: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "not no never none nobody nothing neither nor cannot without cant dont wont didnt doesnt isnt",
        "de": "nicht kein keine keinen keinem keiner keines nie niemals niemand nichts ohne weder nein",
        "fr": "ne n pas jamais aucun aucune rien sans ni non",
        "es": "no nunca ningún ninguno ninguna nada nadie sin ni tampoco",
        "it": "non no mai nessun nessuno nessuna niente nulla senza né",
        "pt": "não nunca nenhum nenhuma nada ninguém sem nem",
        "nl": "niet geen nooit niemand niets zonder nee",
    }.items()
}
CONTRACTED: Mapping[str, Mapping[str, str]] = {
    language: dict(pair.split("=") for pair in pairs.split("|"))
    for language, pairs in {
        "en": "do not=don't|does not=doesn't|did not=didn't|is not=isn't|are not=aren't|was not=wasn't|will not=won't|"
        "cannot=can't|could not=couldn't|would not=wouldn't|should not=shouldn't|have not=haven't|has not=hasn't|"
        "i am=I'm|i have=I've|i will=I'll|i would=I'd|it is=it's|that is=that's|we are=we're|we have=we've|"
        "we will=we'll|you are=you're|you have=you've|you will=you'll|they are=they're|there is=there's|what is=what's|"
        "let us=let's|going to=gonna|want to=wanna",
        "de": "habe ich=hab ich|ich habe=ich hab|gibt es=gibt's|geht es=geht's|wie geht es=wie geht's|für das=fürs|"
        "auf das=aufs|in das=ins",
        "fr": "il y a=y a|cela=ça",
        "nl": "zo een=zo'n|het is='t is",
        "it": "che cosa=cosa|dove è=dov'è|cosa è=cos'è",
    }.items()
}
"""What is said in full, and how it is said for short."""
NEGATED = re.compile(r"[^\W\d_]+n['’]t\b", re.IGNORECASE)
"""An English verb with its negation."""
NEGATED_UNSPACED = re.compile(r"ない|なかった|なく|ません|ずに|不|没|沒|無|无|别")
"""Japanese and Chinese, where words are not set apart."""

GREETINGS = re.compile(
    r"\A\s*(?:hi|hey|hello|dear|good (?:morning|afternoon|evening)|hallo|liebe[rs]?|sehr geehrte[rs]?"
    r"|guten (?:tag|morgen)"
    r"|moin|bonjour|salut|cher|chère|hola|buenos días|buenas|estimad[oa]|querid[oa]|ciao|buongiorno|gentile|car[oa]"
    r"|olá|oi|bom dia|prezad[oa]|hoi|beste|goedemorgen)\b[^\n.?]{0,40}?[,!:\n—–-]{1,4}\s*",
    re.IGNORECASE,
)
"""A greeting at the beginning of a text, the name with it."""
CLOSINGS = re.compile(
    r"\n[ \t]{0,8}(?:(?:kind |best |warm )?regards|best(?: wishes)?|cheers|thanks|thank you|yours(?: \w+)?|sincerely"
    r"|(?:viele|liebe|beste|mit freundlichen) grüßen?|grüße|gruß|lg|vg|mfg|cordialement|bien à vous|amicalement"
    r"|(?:un )?saludos?|atentamente|un abrazo|cordiali saluti|saluti|atenciosamente|abraços?"
    r"|(?:met )?vriendelijke groet"
    r"|groet(?:en|jes)?)\b[^\n]{0,30}(?:\n[^\n]{0,40}){0,3}\Z",
    re.IGNORECASE,
)
"""A closing line with the name under it."""

FILLERS: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split("|"))
    for language, words in {
        "en": "just|really|actually|basically|literally|honestly|kind of|sort of|you know|i mean|i think|i guess|well|"
        "anyway|of course|please|pretty|quite|haha|lol|oh|um|uh|hopefully|obviously",
        "de": "eigentlich|halt|eben|mal|ja|doch|wohl|irgendwie|sozusagen|natürlich|bitte|ehrlich gesagt|gerne|also",
        "fr": "en fait|du coup|bon|ben|voilà|quand même|bien sûr|vraiment|franchement|enfin",
        "es": "pues|bueno|o sea|la verdad|realmente|claro|por favor|en realidad",
        "it": "cioè|insomma|allora|davvero|praticamente|per favore|in realtà|ecco",
        "pt": "tipo|então|na verdade|realmente|por favor|bem|né",
        "nl": "eigenlijk|gewoon|even|toch|wel|maar even|natuurlijk|alsjeblieft",
    }.items()
}

NEUTRAL: Mapping[str, Mapping[str, str]] = {
    language: dict(pair.split("=") for pair in pairs.split("|"))
    for language, pairs in {
        "en": "yeah=yes|yep=yes|yup=yes|nope=no|gonna=going to|wanna=want to|gotta=have to|awesome=good|great=good|"
        "amazing=good|brilliant=good|lovely=good|terrible=bad|awful=bad|horrible=bad|huge=big|tiny=small|kids=children|"
        "guys=people|folks=people|stuff=things|ok=agreed|okay=agreed|asap=soon|buy=purchase|get=receive|got=received|"
        "show=display|start=begin|fix=repair|glad=happy|chat=talk|grab=take|drop=reduce|big=large|thanks=thank you",
        "de": "klar=ja|super=gut|toll=gut|klasse=gut|prima=gut|mies=schlecht|riesig=groß|winzig=klein|kriegen=erhalten|"
        "bekommen=erhalten|gucken=sehen|schauen=sehen|quatschen=reden|danke=vielen dank|ok=einverstanden",
        "fr": "ouais=oui|super=bien|génial=bien|top=bien|nul=mauvais|énorme=grand|boulot=travail|truc=chose",
        "es": "vale=de acuerdo|genial=bien|estupendo=bien|fatal=mal|enorme=grande|curro=trabajo|chulo=bonito",
    }.items()
}  # fmt: skip

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def language_of(text: str) -> str | None:
    """The language whose function words stand most often in `text`; None where none of ours does.

    Counting is what works on a line of chat, where a detector is unsure; of two alike the first in the table.
    """
    if _UNSPACED.search(text):
        return "ja" if re.search("[\u3040-\u30ff]", text) else "zh"
    said = [word.lower() for word in _WORD.findall(text[:4000])]
    counts = {language: sum(word in words for word in said) for language, words in FUNCTION.items()}
    counts = {one: count + sum(word in NEGATIONS[one] for word in said) for one, count in counts.items()}
    best = max(counts, key=lambda language: counts[language])
    return best if counts[best] else None


def is_small(word: str, language: str | None) -> bool:
    """Whether `word`, in lower case, carries little content by itself. Negations are never small."""
    if language is not None and language in FUNCTION:
        return word in FUNCTION[language] and word not in NEGATIONS[language]
    return len(word) == 1 and language not in ("ja", "zh") and word.isalpha()
