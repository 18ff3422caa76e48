"""Neutral drafts as language models write them, by hand, with the facts that have to stand in whatever is made of them."""
# ruff: noqa: E501

from __future__ import annotations

from typing import NamedTuple


class Draft(NamedTuple):
    """A draft, and how each of its facts is written in it."""

    language: str
    kind: str
    text: str
    facts: tuple[str, ...]


DRAFTS = tuple(
    Draft(*one)
    for one in (
        # English mails
        ("en", "email", "Dear Ms. Chen,\n\nI hope this message finds you well. I am writing to confirm our meeting on Friday, 5 March at 3 pm in Room 204. Please let me know if this time does not suit you.\n\nBest regards,\nDaniel", ("Chen", "Friday", "5", "March", "3 pm", "204", "not")),
        ("en", "email", "Hello Marcus,\n\nThank you for reaching out. Unfortunately, I am unable to approve the invoice INV-2031 for €1,450.00, as the purchase order was never received. Kindly resend it to billing@northwind.example.", ("Marcus", "INV-2031", "€", "1,450.00", "never", "billing@northwind.example")),
        ("en", "email", "Hi Priya,\n\nFollowing up on our earlier conversation, the revised schedule is available at https://plan.example.org/q3?view=week. The deadline has been extended by 2 weeks to 14 August.", ("Priya", "https://plan.example.org/q3?view=week", "2", "14", "August")),
        ("en", "email", "Dear team,\n\nPlease be advised that the office will be closed on Monday. No deliveries will be accepted before 9:30. For urgent matters, contact Ravi at +44 20 7946 0991.", ("Monday", "No", "9:30", "Ravi", "20", "7946")),
        ("en", "email", "Dear Mr. Okafor,\n\nI would like to inform you that your application was not successful on this occasion. We received 312 applications for 4 positions and were impressed by your work in Lagos.", ("Okafor", "not", "312", "4", "Lagos")),
        ("en", "email", "Good morning Elena,\n\nPer your request, I have attached report_final.pdf. Kindly note that the figures on page 7 have not been audited. Please respond by tomorrow.", ("Elena", "report_final.pdf", "7", "not", "tomorrow")),
        # English chat, posts, reviews, plans
        ("en", "chat", "I will arrive at the station at 18:45. Could you please pick me up? I do not have my keys with me.", ("18:45", "not")),
        ("en", "chat", "It appears that we need twelve chairs and 3 tables for Saturday. Jonas said he can bring eight of them.", ("twelve", "3", "Saturday", "Jonas", "eight")),
        ("en", "review", "The headphones provide excellent sound quality and up to 30 hours of battery life. However, the case does not close properly, and support never replied to my 2 messages.", ("30", "not", "never", "2")),
        ("en", "review", "We stayed for 5 nights in October. The location near Alfama was superb, but breakfast at €18 per person is not worth it.", ("5", "October", "Alfama", "€", "18", "not")),
        ("en", "post", "I am thrilled to announce that I have joined Brightwater as Head of Design. After 6 years in Berlin, I am excited to begin this new chapter in Porto on 1 September.", ("Brightwater", "6", "Berlin", "Porto", "1", "September")),
        ("en", "notes", "call dentist tue 10:15, not wed. ask re invoice 4711. bring xray from 2019", ("10:15", "not", "4711", "2019")),
        ("en", "notes", "release v2.4.1 on thursday; no db migration; rollback via `make rollback`; ping @dana", ("v2.4.1", "thursday", "no", "`make rollback`", "@dana")),
        ("en", "commit", "This commit updates the parse_header() function in src/http/parser.py so that it no longer raises an error on empty input. It fixes #482.", ("parse_header()", "src/http/parser.py", "no", "#482")),
        ("en", "commit", "Add the --dry-run flag to the deploy command. Previously, the command could not be tested without access to production.", ("--dry-run", "not")),
        ("en", "support", "We sincerely apologise for the inconvenience. Your order A-20931 was dispatched on 11 November and should arrive within 3 to 5 business days. Please do not hesitate to contact us at help@parcel.example.", ("20931", "11", "November", "3", "5", "not", "help@parcel.example")),
        ("en", "toast", "Ladies and gentlemen, it is an honour to speak on behalf of Hannah and Tom. They met on 2 June 2014 in Glasgow, and neither of them could dance.", ("Hannah", "Tom", "2", "June", "2014", "Glasgow", "neither")),
        # German
        ("de", "email", "Sehr geehrte Frau Schneider,\n\nhiermit bestätige ich den Termin am Dienstag, 14. Mai um 15 Uhr in Hamburg. Bitte bringen Sie keine Unterlagen mit.\n\nMit freundlichen Grüßen\nJens Albrecht", ("Schneider", "Dienstag", "14", "Mai", "15 Uhr", "Hamburg", "keine")),
        ("de", "email", "Guten Tag Herr Yilmaz,\n\nvielen Dank für Ihre Nachricht. Leider können wir die Rechnung 88213 über 349,90 € nicht stornieren. Näheres finden Sie unter https://hilfe.example.de/storno.", ("Yilmaz", "88213", "349,90", "€", "nicht", "https://hilfe.example.de/storno")),
        ("de", "chat", "Ich werde morgen gegen 19:30 Uhr eintreffen und zwei Flaschen Wein mitbringen. Lena kommt leider nicht.", ("morgen", "19:30", "zwei", "Lena", "nicht")),
        ("de", "notes", "angebot bis freitag an mueller@firma.example, max 12.500 €, ohne wartung", ("freitag", "mueller@firma.example", "12.500", "€", "ohne")),
        ("de", "review", "Die Kaffeemaschine arbeitet leise und benötigt lediglich 40 Sekunden. Die Anleitung war jedoch nie vollständig, und drei Teile fehlten.", ("40", "nie", "drei")),
        # French
        ("fr", "email", "Bonjour Madame Lefèvre,\n\nJe vous confirme que la livraison prévue le mardi 3 juin à 14h30 ne pourra pas avoir lieu. Je vous prie d'agréer mes salutations distinguées.", ("Lefèvre", "mardi", "3", "juin", "14h30")),
        ("fr", "chat", "Je suis arrivée à Lyon avec Julie. Nous serons six ce soir et nous n'avons aucune réservation.", ("Lyon", "Julie", "six")),
        ("fr", "review", "Le restaurant propose un menu à 25 €. Le service n'était jamais pressé, et le dessert était excellent.", ("25", "€")),
        # Spanish
        ("es", "email", "Estimado señor Romero:\n\nLe informo de que la reunión del jueves 9 de abril no se celebrará en Sevilla, sino en línea: https://sala.example.es/9.", ("Romero", "jueves", "9", "abril", "no", "Sevilla", "https://sala.example.es/9")),
        ("es", "chat", "Llegaré mañana a las 20:15 con tres amigos. Nunca he estado en casa de Marta.", ("mañana", "20:15", "tres", "Nunca", "Marta")),
        ("es", "notes", "llamar a banco lunes, tarjeta 7781 bloqueada, sin pin", ("lunes", "7781", "sin")),
        # Italian, Portuguese, Dutch
        ("it", "email", "Gentile dottoressa Bianchi,\n\nLa informo che il pagamento di 320 euro non è stato ricevuto entro il 15 luglio.", ("Bianchi", "320", "euro", "non", "15", "luglio")),
        ("pt", "email", "Prezada Carla,\n\nConfirmo o envio de 40 caixas na quinta-feira. O motorista não poderá esperar mais de 10 minutos.", ("Carla", "40", "não", "10")),
        ("nl", "chat", "Ik kom vrijdag om 17:00 uur met de trein uit Utrecht. Ik heb geen sleutel.", ("vrijdag", "17:00", "Utrecht", "geen")),
        # Others
        ("ja", "chat", "木曜の15時に会えません。駅から20分かかります。", ("木曜", "15時", "ません", "20")),
        ("zh", "chat", "我明天10:30到，不需要接我。房间号是1208。", ("10:30", "不", "1208")),
        ("ru", "email", "Добрый день! Подтверждаю заказ 5521 на сумму 3400 рублей. Документы отправлены на adres@pochta.example.", ("5521", "3400", "adres@pochta.example")),
    )
)  # fmt: skip
