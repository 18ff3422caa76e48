"""The words by which mail programs mark what is not the sender's own text, in the languages they speak.

Sources: what Gmail, Outlook, Outlook on the web, Apple Mail, Thunderbird and Yahoo write in these languages; the
tables of mail-parser-reply and quotequail, which were compared (docs/measured/importing.md).
"""

from __future__ import annotations

import re

HEADERS: tuple[tuple[str, str, str, str], ...] = (
    # from | sent, date | to | subject
    ("From", "Sent|Date|Sent on", "To|Cc", "Subject"),
    ("Von", "Gesendet|Datum|Gesendet am", "An|Cc|Kopie", "Betreff"),
    ("De|Expéditeur", "Envoyé|Date|Envoyé le", "À|A|Pour|Cc", "Objet|Sujet"),
    ("De|De parte de", "Enviado|Enviado el|Fecha|Enviados", "Para|CC", "Asunto"),
    ("Da|Mittente", "Inviato|Data|Inviato il", "A|Per|Cc", "Oggetto"),
    ("Van", "Verzonden|Datum|Verzonden op", "Aan|CC", "Onderwerp"),
    ("De", "Enviado|Enviada|Enviada em|Enviado em|Data", "Para|Cc", "Assunto"),
    ("Fra", "Sendt|Dato|Sendt den", "Til|Cc|Kopi", "Emne"),
    ("Från", "Skickat|Datum|Skickat den", "Till|Kopia|Cc", "Ämne"),
    ("Lähettäjä|Keneltä", "Lähetetty|Päivämäärä|Päiväys", "Vastaanottaja|Kopio|Kenelle", "Aihe"),
    ("Od", "Wysłano|Data|Wysłane", "Do|DW", "Temat"),
    ("Od", "Odesláno|Datum|Odoslané|Dátum|Poslano", "Komu|Kopie|Kópia|Za|Kp", "Předmět|Predmet|Zadeva"),
    ("Feladó|Küldő", "Elküldve|Küldve|Dátum|Küldés ideje", "Címzett|Másolatot kap|Másolat", "Tárgy"),
    ("De la|De|Expeditor", "Trimis|Data|Data trimiterii", "Către|Catre|Cc", "Subiect"),
    ("Kimden|Gönderen|Kimden \\(From\\)", "Gönderildi|Gönderme Tarihi|Tarih|Gönderilme", "Kime|Alıcı|Bilgi", "Konu"),
    ("От|От кого", "Отправлено|Дата|Послано", "Кому|Копия", "Тема"),
    ("Від|Від кого", "Надіслано|Дата|Відправлено", "Кому|Копія", "Тема"),
    ("От", "Изпратено|Дата", "До|Копие", "Относно|Тема"),
    ("Από", "Στάλθηκε|Απεσταλμένα|Ημερομηνία|Αποστολή", "Προς|Κοιν\\.|Κοινοποίηση", "Θέμα"),
    ("差出人|送信者|From", "送信日時|日付|送信|日時", "宛先|CC|Cc", "件名"),
    (
        "发件人|寄件者|寄件人",
        "发送时间|日期|寄件日期|傳送時間|发送日期|時間",
        "收件人|收件者|抄送|副本",
        "主题|主旨|標題",
    ),
    ("보낸 사람|보낸사람", "보낸 날짜|날짜|보낸날짜", "받는 사람|참조|받는사람", "제목"),
    ("De", "Enviat|Data|Enviat el", "Per a|A|Cc", "Tema|Assumpte"),
    ("Saatja", "Saadetud|Kuupäev", "Adressaat|Koopia|Saaja", "Teema"),
    ("No|Sūtītājs", "Nosūtīts|Datums", "Kam|Kopija|Adresāts", "Tēma|Temats"),
    ("Nuo|Siuntėjas", "Išsiųsta|Data", "Kam|Kopija|Gavėjas", "Tema"),
    ("Từ", "Đã gửi|Ngày|Gửi lúc", "Đến|Tới|Cc", "Chủ đề"),
    ("Dari", "Dikirim|Terkirim|Tanggal", "Kepada|Cc|Ke", "Subjek|Perihal"),
    ("จาก", "ส่ง|วันที่|ส่งเมื่อ", "ถึง|สำเนา", "เรื่อง"),
    ("מאת", "נשלח|תאריך", "אל|עותק", "נושא"),
    ("Од", "Послато|Испратено|Датум", "За|До|Коп\\.", "Тема|Наслов"),
    ("Od", "Poslato|Datum", "Za|Kopija", "Tema|Naslov"),
    ("Frá", "Sent|Sent þann|Dags|Dagsetning", "Til|Afrit", "Efni"),
    ("प्रेषक", "भेजा गया|दिनांक", "प्रति|प्रतिलिपि", "विषय"),
    ("Nork", "Bidalia|Bidaltze-data|Data", "Nori|Kopia", "Gaia"),
    ("از", "ارسال شده|تاریخ", "به|رونوشت", "موضوع"),
    ("Daripada", "Dihantar|Tarikh", "Kepada|Salinan", "Subjek"),
    ("Nga|Prej", "Dërguar|Data", "Te|Për|Kopje", "Tema|Subjekti"),
    ("من", "تاريخ الإرسال|التاريخ|أرسلت", "إلى|نسخة", "الموضوع"),
)
"""Labels of the header block above a quoted mail, one row a language; alternatives of a regular expression."""

WROTE = (
    "wrote", "writes", "schrieb", "geschrieben", "a écrit", "écrit", "escribió", "escribio", "ha scritto", "scrisse",
    "schreef", "geschreven", "skrev", "skreiv", "kirjoitti", "escreveu", "napisał", "napisała", "napisał(a)",
    "napisano", "napsal", "napsala", "napsal(a)", "napísal", "napísal(a)", "írta", "ezt írta", "a scris", "a scris:",
    "yazdı", "şunu yazdı", "написал", "написала", "написал(а)", "пишет", "написав", "пише", "έγραψε", "написа",
    "写道", "寫道", "님이 작성", "作成", "のメール", "va escriure", "kirjutas", "rakstīja", "parašė", "rašė", "đã viết",
    "menulis", "เขียนว่า", "כתב", "כתבה", "كتب", "napisao", "je napisao", "je napisal",
    "pisze", "quoting", "zitat von", "citeren", "citerar", "citando", "citazione di",
)  # fmt: skip
"""What an attribution says that somebody did."""

BEGINS = (
    "on", "am", "le", "el", "il", "op", "den", "em", "w dniu", "dnia", "dne", "dňa", "pe", "în", "in data", "vào",
    "pada", "ngày", "στις", "dana", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "mo", "di", "mi",
    "do", "fr", "sa", "so", "lun", "mar", "mer", "jeu", "ven", "sam", "dim", "mié", "jue", "vie", "sáb", "dom", "gio",
    "sab", "ma", "man", "tir", "tirs", "ons", "tor", "tors", "fre", "lør", "søn", "mån", "tis", "lör", "sön", "ti",
    "ke", "to", "pe", "la", "su", "wo", "vr", "za", "zo", "pon", "wt", "śr", "czw", "pt", "sob", "niedz", "po", "út",
    "st", "čt", "pá", "ne", "пн", "вт", "ср", "чт", "пт", "сб", "вс", "понедельник", "seg", "ter", "qua", "qui", "sex",
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "montag", "dienstag", "mittwoch",
    "donnerstag", "freitag", "samstag", "sonntag", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi",
    "dimanche", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo", "mandag", "tirsdag",
    "onsdag", "torsdag", "fredag", "lørdag", "søndag", "måndag", "tisdag", "lördag", "söndag",
)  # fmt: skip
"""First words of an attribution: prepositions and days of the week."""

ORIGINAL = (
    "Original Message", "Original message", "Ursprüngliche Nachricht", "Originalnachricht", "Message d'origine",
    "Message original", "Mensaje original", "Messaggio originale", "Oorspronkelijk bericht", "Origineel bericht",
    "Mensagem original", "Oprindelig meddelelse", "Opprinnelig melding", "Ursprungligt meddelande",
    "Alkuperäinen viesti", "Wiadomość oryginalna", "Oryginalna wiadomość", "Původní zpráva", "Pôvodná správa",
    "Eredeti üzenet", "Mesaj original", "Özgün İleti", "Orijinal Mesaj", "Исходное сообщение", "Оригинальное сообщение",
    "Вихідне повідомлення", "Αρχικό μήνυμα", "元のメッセージ", "原始邮件", "原始郵件", "邮件原件", "원본 메시지",
    "Missatge original", "Ursprüngliche Mail", "Mail original", "Originele e-mail", "Mensaje de origen",
    "Forwarded message", "Forwarded Message", "Begin forwarded message", "Weitergeleitete Nachricht",
    "Anfang der weitergeleiteten Nachricht", "Anfang der weitergeleiteten E-Mail", "Message transféré",
    "Début du message transféré", "Début du message réexpédié", "Mensaje reenviado", "Inicio del mensaje reenviado",
    "Messaggio inoltrato", "Inizio messaggio inoltrato", "Doorgestuurd bericht", "Begin doorgestuurd bericht",
    "Mensagem encaminhada", "Início da mensagem encaminhada", "Videresendt meddelelse", "Videresendt melding",
    "Videresendt besked", "Vidarebefordrat meddelande", "Edelleenlähetetty viesti", "Välitetty viesti",
    "Przekazana wiadomość", "Wiadomość przekazana dalej", "Přeposlaná zpráva", "Továbbított üzenet",
    "Mesaj redirecționat",
    "İletilen mesaj", "Пересылаемое сообщение", "Переадресованное сообщение", "Προωθημένο μήνυμα",
    "転送されたメッセージ",
    "转发的邮件", "轉寄的郵件", "전달된 메시지",
)  # fmt: skip
"""What stands between dashes above a quoted or forwarded mail."""

DEVICE = (
    r"sent from (?:my|mail|outlook|yahoo|proton|samsung|gmail|aol|a|windows)\b", r"get outlook for\b",
    r"von meinem .* gesendet", r"gesendet (?:mit|von|aus|über) ", r"envoyé (?:de(?:puis)?|à partir) ",
    r"enviado (?:desde|do|a partir) ", r"enviada do ", r"inviato da", r"verzonden (?:vanaf|met|vanuit) ",
    r"verstuurd vanaf ", r"sendt fra ", r"skickat från ", r"lähetetty ", r"wysłan[eo] z ", r"odesláno z ",
    r"отправлено (?:с|из) ", r"надіслано з ", r"iphone(?:から|\s*から)送信", r"发自我的", r"從我的",
    r"나의 .*에서 보냄",
    r"hent outlook (?:til|for) ", r"télécharge[rz] outlook ", r"outlook für ", r"sent via ", r"gönderildi",
    r"obtener outlook ", r"sent with ",
)  # fmt: skip
"""Beginnings of the line that a telephone puts under a mail."""

AUTOMATIC = (
    "automatic reply", "auto reply", "auto-reply", "autoreply", "out of office", "out of the office",
    "automatische antwort", "abwesenheitsnotiz", "abwesenheit:", "réponse automatique", "absence du bureau",
    "respuesta automática", "fuera de la oficina", "risposta automatica", "fuori sede", "automatisch antwoord",
    "afwezigheidsbericht", "resposta automática", "autosvar", "automatisk svar", "automatiskt svar", "ikke til stede",
    "frånvaro:", "automaattinen vastaus", "poissaolo:", "odpowiedź automatyczna", "automatyczna odpowiedź",
    "automatická odpověď", "automatická odpoveď", "automatikus válasz", "răspuns automat", "otomatik yanıt",
    "автоматический ответ", "автоответ", "автоматична відповідь", "αυτόματη απάντηση", "自動応答", "自動返信",
    "自动答复", "自动回复", "自動回覆", "자동 회신", "자동 응답", "vacation reply", "vacation response",
    "respuesta automatica",
)  # fmt: skip
"""Beginnings of the subjects of automatic replies."""

ANSWERED = (
    "accepted", "declined", "tentative", "tentatively accepted", "new time proposed", "zugesagt", "angenommen",
    "abgesagt", "abgelehnt", "mit vorbehalt", "mit vorbehalt angenommen", "accepté", "acceptée", "refusé", "refusée",
    "provisoire", "aceptado", "aceptada", "rechazado", "rechazada", "provisional", "accettato", "rifiutato",
    "provvisorio", "geaccepteerd", "geweigerd", "afgewezen", "voorlopig", "aceite", "aceito", "recusado",
    "accepteret", "afvist", "foreløbig", "godtatt", "akseptert", "avslått", "accepterat", "avböjt", "preliminärt",
    "hyväksytty", "hylätty", "alustava", "zaakceptowano", "zaakceptowane", "odrzucono", "odrzucone",
    "wstępna akceptacja",
    "přijato", "odmítnuto", "prijaté", "odmietnuté", "elfogadva", "elutasítva", "acceptat", "refuzat", "kabul edildi",
    "reddedildi", "принято", "отклонено", "под вопросом", "прийнято", "відхилено", "αποδοχή", "απόρριψη", "承諾",
    "辞退",
    "承諾済み", "已接受", "已拒绝", "已拒絕", "暂定", "수락", "거절", "수락됨", "거절됨",
)  # fmt: skip
"""How the answer to an invitation begins, before a colon."""

CLOSINGS = (
    "best", "best regards", "kind regards", "regards", "warm regards", "cheers", "thanks", "many thanks", "thank you",
    "yours", "yours sincerely", "sincerely", "all the best", "best wishes", "lg", "vg", "mfg", "gruß", "grüße", "gruss",
    "liebe grüße", "viele grüße", "beste grüße", "schöne grüße", "herzliche grüße", "mit freundlichen grüßen",
    "freundliche grüße", "danke", "cordialement", "bien cordialement", "bien à vous", "amicalement", "merci",
    "saludos", "un saludo", "atentamente", "gracias", "cordiali saluti", "saluti", "un saluto", "grazie",
    "met vriendelijke groet", "vriendelijke groet", "groet", "groeten", "groetjes", "mvh", "hilsen", "vennlig hilsen",
    "med venlig hilsen", "venlig hilsen", "hälsningar", "vänliga hälsningar", "terveisin", "ystävällisin terveisin",
    "pozdrawiam", "z poważaniem", "s pozdravem", "abraços", "atenciosamente", "obrigado", "obrigada", "с уважением",
)  # fmt: skip
"""Words that close a letter, on a line of their own above the name."""

CONFIDENTIAL = re.compile(
    r"\b(?:confidential|intended (?:solely|only) for|privileged|if you are not the intended|disclaimer|"
    r"vertraulich|nur für den|ausschließlich für|confidentiel|confidencial|riservat[oa]|vertrouwelijk|fortrolig|"
    r"konfidentiell|luottamuksel|poufne|конфиденциальн|please consider the environment|think before you print)",
    re.IGNORECASE,
)
"""What a disclaimer says."""
