"""What dvdrental samples are made of: invented names and words, times, and the dirt that a live database can hold."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

FIRST_NAMES = (
    "Alba", "Anton", "Beata", "Bruno", "Cilla", "Cosmo", "Dalia", "Dario", "Edda", "Elias", "Fenja", "Floris",
    "Greta", "Gustav", "Hedda", "Hugo", "Ilka", "Ivo", "Jonna", "Jasper", "Kaja", "Kilian", "Lotta", "Levin",
    "Mirja", "Milo", "Nuria", "Nils", "Olga", "Oskar", "Pia", "Piet", "Romy", "Ruben", "Selma", "Silvan",
    "Tilda", "Tomas", "Vera", "Yannis",
)  # fmt: skip
LAST_NAMES = (
    "Abend", "Birkholm", "Castella", "Dornfeld", "Eklund", "Farrow", "Grimaud", "Halvor", "Iversen", "Jolivet",
    "Kestrel", "Lindqvist", "Marchetti", "Norwell", "Oakhurst", "Pellegrin", "Quillan", "Rosenau", "Sandoval", "Tiller",
    "Ulvang", "Varga", "Wexford", "Ystad", "Zander", "Ashdown", "Brandt", "Cordero", "Dunmore", "Esteban", "Fairley",
    "Gorse", "Hartigan", "Ilves", "Jardine", "Kovacs", "Lockyer", "Moreau", "Nyberg", "O'Dell", "Petrov", "Quist",
    "Ravn", "Sorrel", "Thorne", "Urbina", "Vesper", "Winslow", "Yarrow", "Zeller",
)  # fmt: skip
STARTS = (
    "Ald", "Bram", "Cor", "Dun", "Esk", "Fal", "Gar", "Hol", "Ing", "Jor", "Kel", "Lor", "Mar", "Nor", "Or", "Pell",
    "Quar", "Ros", "Sten", "Tor", "Und", "Var", "Wen", "Zel",
)  # fmt: skip
MIDDLES = ("a", "ber", "de", "en", "i", "la", "mo", "na", "o", "ri", "sa", "ve")
CITY_ENDS = (
    "bay", "bridge", "burg", "by", "cester", "dorf", "fjord", "ford", "grad", "ham", "haven", "holm", "mouth", "stad",
    "ton", "wick",
)  # fmt: skip
COUNTRY_ENDS = ("avia", "land", "mark", "onia", "stan")
STREETS = ("Street", "Avenue", "Lane", "Boulevard", "Way", "Drive", "Parkway")
LANGUAGES = ("English", "Italian", "Japanese", "Mandarin", "French", "German")
CATEGORIES = (
    "Adventure", "Cartoon", "Kids", "Timeless", "Comic", "True Stories", "Serious", "Households", "Overseas", "Quiz",
    "Fright", "Concert", "Fresh", "Future", "Matches", "Voyage",
)  # fmt: skip
RATINGS = ("G", "PG", "PG-13", "R", "NC-17")
FEATURES = ("Trailers", "Commentaries", "Deleted Scenes", "Behind the Scenes")
PRICES = (Decimal("0.99"), Decimal("2.99"), Decimal("4.99"))
FREE, LATE_FEE, DEAREST = Decimal("0.00"), Decimal("1.00"), Decimal("11.99")

FIRST_RENTAL = datetime(2005, 5, 24, 22, 53, 30)
RENTAL_SECONDS = 91 * 86_400
LONGEST_SECONDS = 10 * 86_400  # that an item is kept
STILL_OUT = datetime(2006, 2, 14, 15, 16, 3)  # when all but one of the open rentals began
FORGOTTEN = datetime(2005, 8, 21, 0, 30, 32)  # when that one did
PAID_AFTER = timedelta(days=611, microseconds=996_577)  # payments are of 2007, rentals of 2005
STILL_OUT_PAID_AFTER = timedelta(days=454, microseconds=996_577)
CHANGED = datetime(2006, 2, 15, 10, 9, 17)
CUSTOMERS_CHANGED = datetime(2013, 5, 26, 14, 49, 45, 738_000)
CUSTOMERS_CREATED = date(2006, 2, 14)  # later than most rentals
FIRST_PAYMENT_ID = 17_503

# ---- dirt: rows that break no constraint of the database and yet cannot be right -------------------------------------
# Table -> kind -> what differs from a good row, the last of its table. It is an additional row under the next ids, to
# which nothing refers: rejecting it changes nothing elsewhere. Each breaks one rule of the raw table.

_IN_2999 = datetime(2999, 12, 31, 12)
DIRT: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "actor": {"last_name_empty": {"last_name": ""}},
        "address": {"address_blank": {"address": "   "}},
        "film": {
            "title_empty": {"title": ""},
            "length_negative": {"length": -90},
            "rental_duration_zero": {"rental_duration": 0},
            "replacement_cost_nan": {"replacement_cost": Decimal("NaN")},  # numeric(5,2) takes it
        },
        "customer": {"first_name_blank": {"first_name": "  "}},
        "rental": {
            "return_infinite": {"rental_date": FIRST_RENTAL + timedelta(days=1), "return_date": "infinity"},
            "rental_in_future": {"rental_date": _IN_2999, "return_date": None},
        },
        "payment": {
            "amount_negative": {"amount": Decimal("-4.99")},
            "amount_nan": {"amount": Decimal("NaN")},
            "payment_in_future": {"payment_date": _IN_2999},
            "payment_year_of_five_digits": {"payment_date": "20070-03-01 10:00:00"},  # no Python datetime
        },
    }
)
