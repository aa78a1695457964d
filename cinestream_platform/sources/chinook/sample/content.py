"""What Chinook samples are made of: columns, sizes, invented people and places, and the dirt that can be planted."""

from datetime import date

HEADERS = {
    "genre": "GenreId,Name",
    "media_type": "MediaTypeId,Name",
    "artist": "ArtistId,Name",
    "album": "AlbumId,Title,ArtistId",
    "track": "TrackId,Name,AlbumId,MediaTypeId,GenreId,Composer,Milliseconds,Bytes,UnitPrice",
    "employee": "EmployeeId,LastName,FirstName,Title,ReportsTo,BirthDate,HireDate,"
    "Address,City,State,Country,PostalCode,Phone,Fax,Email",
    "customer": "CustomerId,FirstName,LastName,Company,"
    "Address,City,State,Country,PostalCode,Phone,Fax,Email,SupportRepId",
    "invoice": "InvoiceId,CustomerId,InvoiceDate,"
    "BillingAddress,BillingCity,BillingState,BillingCountry,BillingPostalCode,Total",
    "invoice_line": "InvoiceLineId,InvoiceId,TrackId,UnitPrice,Quantity",
    "playlist": "PlaylistId,Name",
    "playlist_track": "PlaylistId,TrackId",
}
"""Dataset -> columns as the upstream spells them, in the order of its JSON form."""

# ---- sizes and times at scale 1.0, which are the upstream's ----------------------------------------------------------

ARTISTS, ALBUMS, TRACKS, VIDEOS, CUSTOMERS = 275, 347, 3_503, 213, 59
LINES_OF_INVOICES = (2, 4, 6, 9, 14, 1, 2)
"""Lines of seven successive invoices: each customer buys seven times, but the last one once less."""
FIRST_INVOICE, LAST_INVOICE = date(2021, 1, 1), date(2025, 12, 22)
DAILY = (date(2025, 12, 30), date(2025, 12, 31), date(2026, 1, 2))
FIRST_DELIVERY = date(2020, 12, 31)
NEW_CUSTOMERS, NEW_EMPLOYEES = date(2024, 7, 1), date(2023, 3, 1)

# ---- odd but legal ---------------------------------------------------------------------------------------------------

UNKNOWN_TRACKS = {11: 1, 57: 1, 101: 2}
"""Number of a line -> which track beyond the last of Track.csv it sells."""
LINES_WITHOUT_INVOICE = 2

# ---- dirt: kind -> (column, what stands there; None leaves the field out) --------------------------------------------
# The first column is an id that no good record mentions, the others are copied from the good record before. Each bad
# record is one line: the open quote cannot be closed further down, for no text begins with a comma.

Dirt = dict[str, tuple[str, bytes | None]]

DIRT: dict[str, Dirt] = {
    "artist": {
        "invalid_utf8": ("Name", b"Caf\xe9 Lantern"),  # Latin-1's e with acute accent
        "too_many_fields": ("Name", b"Sailor, The"),  # the forgotten quotes
        "artist_id_zero": ("ArtistId", b"0"),
    },
    "album": {
        "title_empty": ("Title", b""),
        "artist_id_empty": ("ArtistId", b""),
        "too_many_fields": ("Title", b"Lantern, The"),
        "album_id_negative": ("AlbumId", b"-7"),
        "malformed_quotes": ("Title", b'"Copper" Ferry'),
    },
    "track": {
        "unit_price_text": ("UnitPrice", b"abc"),
        "unit_price_negative": ("UnitPrice", b"-0.99"),
        "unit_price_three_decimals": ("UnitPrice", b"0.995"),
        "unit_price_comma": ("UnitPrice", b'"0,99"'),
        "unit_price_empty": ("UnitPrice", b""),
        "unit_price_over_ten_digits": ("UnitPrice", b"123456789.00"),
        "track_id_zero": ("TrackId", b"0"),
        "track_id_empty": ("TrackId", b""),
        "track_id_over_int4": ("TrackId", b"2147483648"),
        "name_empty": ("Name", b""),
        "album_id_negative": ("AlbumId", b"-1"),
        "media_type_id_empty": ("MediaTypeId", b""),
        "genre_id_text": ("GenreId", b"loud"),
        "milliseconds_negative": ("Milliseconds", b"-1"),
        "milliseconds_text": ("Milliseconds", b"3:25"),
        "bytes_negative": ("Bytes", b"-1"),
        "too_few_fields": ("Composer", None),
        "too_many_fields": ("Composer", b"Amber, Pilot"),
        "invalid_utf8": ("Name", b"D\xe9j\xe0 vu"),
        "nul_byte": ("Name", b"Lamp\x00light"),  # valid UTF-8 that Postgres cannot store
        "malformed_quotes": ("Name", b'"Lamp"light'),
        "unclosed_quote": ("Name", b'"Lamplight'),
    },
    "playlist_track": {
        "playlist_id_zero": ("PlaylistId", b"0"),
        "track_id_empty": ("TrackId", b""),
        "track_id_text": ("TrackId", b"all"),
        "too_few_fields": ("TrackId", None),
        "too_many_fields": ("TrackId", b"1,2"),
    },
    "customer": {
        "email_empty": ("Email", b""),
        "support_rep_id_text": ("SupportRepId", b"anybody"),
        "customer_id_zero": ("CustomerId", b"0"),
        "last_name_empty": ("LastName", b""),
        "too_many_fields": ("Address", b"12 Ferry Lane, Back Yard"),
        "invalid_utf8": ("FirstName", b"Ren\xe9"),
    },
    "invoice": {
        "invoice_date_impossible": ("InvoiceDate", b"2023-02-30 00:00:00"),
        "total_three_decimals": ("Total", b"3.965"),
        "customer_id_empty": ("CustomerId", b""),
        "total_negative": ("Total", b"-1.98"),
        "invoice_date_empty": ("InvoiceDate", b""),
        "invoice_id_zero": ("InvoiceId", b"0"),
        "total_text": ("Total", b"paid"),
        "too_few_fields": ("BillingState", None),
        "invoice_date_text": ("InvoiceDate", b"yesterday"),
        "invalid_utf8": ("BillingCity", b"Gr\xfcnau"),
    },
    "invoice_line": {
        "unit_price_text": ("UnitPrice", b"abc"),
        "unit_price_negative": ("UnitPrice", b"-0.99"),
        "quantity_zero": ("Quantity", b"0"),
        "invoice_line_id_zero": ("InvoiceLineId", b"0"),
        "invoice_id_empty": ("InvoiceId", b""),
        "track_id_negative": ("TrackId", b"-5"),
        "unit_price_three_decimals": ("UnitPrice", b"0.995"),
        "unit_price_empty": ("UnitPrice", b""),
        "quantity_text": ("Quantity", b"one"),
        "quantity_negative": ("Quantity", b"-1"),
        "quantity_empty": ("Quantity", b""),
        "invoice_line_id_over_int4": ("InvoiceLineId", b"2147483648"),
        "too_few_fields": ("Quantity", None),
        "too_many_fields": ("UnitPrice", b"0,99"),  # a decimal comma
        "unclosed_quote": ("TrackId", b'"17'),
    },
}

# ---- the catalogue ---------------------------------------------------------------------------------------------------

AUDIO_GENRES = (
    "Harbour Rock", "Brass", "Anvil Metal", "Garage & Attic", "Jump", "Slow Blues", "Samba do Cais", "Dub", "Pop",
    "Film Scores", "Coastal Nova", "Lounge", "Iron Choir", "R&B/Soul", "Electronics/Dance", "World", "Hip Hop",
    "Chamber Music", "Opera", "Lullabies",
)  # fmt: skip
VIDEO_GENRES = ("Science Fiction", "Series", "Sci-Fi & Fantasy", "Drama", "Comedy")
GENRES = AUDIO_GENRES + VIDEO_GENRES
MEDIA_TYPES = (
    "MPEG audio", "AAC audio, protected", "MPEG-4 video, protected", "AAC audio, bought", "AAC audio",
)  # fmt: skip
VIDEO_TYPE = 3
ODD_TEXTS = (
    "Été à Quimper, L'", "Über den Dächern", "Señorita Niño", "Łódka", "Città perduta, La", "夜の灯台",
    'Man Called "Kettle"', '"Velvet" Umbrella', '12" Mix, Long', "It's Only Lamplight", "Smørrebrød & Co.", "N/A",
)  # fmt: skip
PLAYLISTS = (
    ("Songs", "audio", 3_290), ("Films", "none", 0), ("Series", "video", 213), ("Spoken", "none", 0),
    ("70’s Lanterns", "audio", 1_477), ("Spoken", "none", 0), ("Films", "none", 0), ("Songs", "audio", 3_290),
    ("Music Videos", "video", 1), ("Series", "video", 213), ("Samba do Cais", "audio", 39), ("Chamber", "audio", 75),
    ("Chamber 101 - Deep", "audio", 25), ("Chamber 101 - Next", "audio", 25), ("Chamber 101, Basics", "audio", 25),
    ("Garage", "audio", 15), ("Anvil", "audio", 26), ('On the "Go" 1', "audio", 1),
)  # fmt: skip
"""Name, of what, and how many of them: 8,715 in all; "Songs" and "Series" hold every track of their kind."""

# ---- people and places -----------------------------------------------------------------------------------------------

FIRST_NAMES = (
    "Inês", "Ines", "Björk-Ann", "Tomasz", "Marguerite", "Øyvind", "Zdeněk", "Aroha", "Luca", "Priya", "Søren", "Maeve",
    "Joaquín", "Hanneke", "Ilse", "Nuno", "Teodora", "Wen", "Étienne",
)  # fmt: skip
LAST_NAMES = (
    "Amberley", "Quarrie", "Łaskowska", "Lanternier", "d'Orsay", "Fährmann", "Teixo", "Novotná", "Kettlewell", "O'Brae",
    "Sandström", "Peñalba", "Rivero", "Uhrmacher", "van der Kade", "Zephyr", "Holloway-Finch", "Ánnes", "Marsh",
    "Yonder", "Brückner", "Costello-Ruiz", "Ferrante",
)  # fmt: skip
COMPANIES = ("Lanterna S.A.", "Quiet Railway, Ltd.", 'Radio "Teacup"', "Fähre & Söhne GmbH", "Łódka sp. z o.o.")
STREETS = (
    "{n} Ferry Lane", "Laternenstraße {n}", "Rua das Lanternas, {n}", "{n}, Rue du Phare", "{n} Orchard Ave, No. 2",
    "Fyrvägen {n}", "Calle del Farol {n}", "Na Nábřeží {n}/7",
)  # fmt: skip
PLACES = (
    "Cais Novo|SP|Brazil|01407-020", "Port Amber|NS|Canada|B0K 1A0", "Lanternby||Denmark|1799", "Fyrnes||Norway|0188",
    "Grünau am Tor||Germany|01099", "Quimperlac||France|29111", "Kettle Falls End|MA|USA|02199",
    "Mlýnov||Czech Republic|14799", "Copper Quay|CA|USA|94099", "Dry Harbor|TX|USA|76199", "Ostwinkel||Austria|1099",
    "Klokstad||Belgium|1099", "Farol Velho|RJ|Brazil|20099-020", "Misty Sound|BC|Canada|V6C 9G9",
    "Saint-Phare||France|75099", "Hafenried||Germany|10799", "Teacup Hill||United Kingdom|N1 9LX",
    "Ballykettle|Dublin|Ireland|", "Marefaro|RM|Italy|00199", "Nieuwklok|VV|Netherlands|1099",
    "Wieża Mała||Poland|00-999", "Porto Lanterna||Portugal|", "Farolillo||Spain|28099", "Fyrholm||Sweden|11299",
    "Majakkala||Finland|00539", "Lámpás||Hungary|H-1099", "Diyapur||India|110099", "Puerto Farol||Chile|",
    "Villa Linterna||Argentina|1999", "Lantern Bay|NSW|Australia|2099", "Second Ferry|WA|USA|98099",
    "Brassbridge|NY|USA|10099", "Old Almanac|ON|Canada|M6J 9A1", "Rochebelle||France|69099", "Anker||Germany|60399",
    "Orchard End||United Kingdom|EH4 9HH", "Violin Springs|UT|USA|84199", "Cais do Norte|DF|Brazil|71099",
    "Tin Lake|MB|Canada|R3L 9B9", "Jaglar||India|560099",
)  # fmt: skip
"""City, state, country and postal code; empty where there is none. 24 countries; seven codes begin with 0."""
EMPLOYEES = (
    ("Quarrie", "Aroha", "Managing Director", "", "1964-03-17", "2012-09-03"),
    ("Fährmann", "Ilse", "Head of Sales", "1", "1969-11-02", "2012-06-01"),
    ("Teixo", "Nuno", "Sales Advisor", "2", "1978-04-21", "2012-06-15"),
    ("O'Brae", "Maeve", "Sales Advisor", "2", "1981-10-30", "2013-02-04"),
    ("Sandström", "Øyvind", "Sales Advisor", "2", "1976-01-12", "2013-10-01"),
    ("Novotná", "Teodora", "Head of IT", "1", "1972-06-06", "2013-11-18"),
    ("Marsh", "Wen", "IT Technician", "6", "1983-08-15", "2014-01-07"),
    ("Lanternier", "Étienne", "IT Technician", "6", "1990-02-28", "2014-04-01"),
)
"""Family name, given name, title, whom they report to, birthday and first day: three levels, 1 over 2 and 6."""
SUPPORT_AGENTS = (3, 4, 5)
PROMOTED, NEW_TITLE, NEW_MANAGER = 4, "Head of Customer Care", "1"
"""With NEW_EMPLOYEES one of those who have nobody below them goes up to the second level."""
