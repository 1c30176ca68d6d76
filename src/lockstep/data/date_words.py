"""Names of months and weekdays in common languages, which turn into numbers before a date is read."""

import re
from functools import lru_cache

MONTHS = (
    "january jan januar januari jänner janvier janv enero ene gennaio gen janeiro stycznia styczeń sty "
    "января январь янв ocak",
    "february feb februar februari février févr fév fevrier febrero febbraio febr fevereiro fev lutego "
    "luty lut февраля февраль фев şubat",
    "march mar märz maerz mär mrz maart mrt mars marzo março marca marzec марта март мар mart",
    "april apr avril avr abril abr aprile kwietnia kwiecień kwi апреля апрель апр nisan",
    "may mai mei mayo maggio mag maio maja maj мая май mayıs",
    "june jun juni juin junio giugno giu junho czerwca czerwiec cze июня июнь июн haziran",
    "july jul juli juillet juil julio luglio lug julho lipca lipiec lip июля июль июл temmuz",
    "august aug augustus août aout agosto ago sierpnia sierpień sie августа август авг ağustos augusti",
    "september sep sept septembre septiembre settembre set setembro września wrzesień wrz сентября сентябрь сен eylül",
    "october oct oktober okt octobre octubre ottobre ott outubro out października październik paź октября "
    "октябрь окт ekim",
    "november nov novembre noviembre novembro listopada listopad lis ноября ноябрь ноя kasım",
    "december dec dezember dez décembre déc decembre diciembre dic dicembre dezembro grudnia grudzień gru "
    "декабря декабрь дек aralık",
)
DAYS = (
    "monday mon montag mo lundi lun lunes lunedì segunda-feira maandag ma poniedziałek понедельник пн måndag",
    "tuesday tue tues dienstag di mardi martes mar martedì terça-feira dinsdag wtorek вторник вт tisdag",
    "wednesday wed mittwoch mi mercredi mer miércoles mercoledì quarta-feira woensdag wo środa среда ср onsdag",
    "thursday thu thur thurs donnerstag do jeudi jeu jueves giovedì quinta-feira donderdag czwartek четверг чт torsdag",
    "friday fri freitag fr vendredi ven viernes venerdì sexta-feira vrijdag vr piątek пятница пт fredag",
    "saturday sat samstag sa samedi sam sábado sabato zaterdag za sobota суббота сб lördag",
    "sunday sun sonntag so dimanche dim domingo domenica zondag zo niedziela воскресенье вс söndag",
)
NUMBERS = {word: f"{month:02d}" for month, words in enumerate(MONTHS, 1) for word in words.split()}
WEEKDAYS = frozenset(word for words in DAYS for word in words.split())
WORD = re.compile(r"([^\W\d_]+(?:-feira)?)(\.(?=\s|$))?")
FRONT = re.compile(r"^([^\W\d_]+(?:-feira)?)\.?,?\s+(?=\S)")


@lru_cache(65536)
def with_numbers(text: str) -> str:
    """Return a date with its weekday in front left out and the name of its month as a number of two digits."""
    front = FRONT.match(text)
    if front and front[1].casefold() in WEEKDAYS and re.search(r"[^\W\d_]{3}", text[front.end() :]):
        text = text[front.end() :]
    return WORD.sub(lambda word: NUMBERS.get(word[1].casefold(), word[0]), text)
