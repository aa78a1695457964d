"""What MovieLens samples are made of: shares, genres, invented words, odd titles, and the dirt that can be planted."""

RATING_COUNTS = {
    "0.5": 1_370, "1.0": 2_811, "1.5": 1_791, "2.0": 7_551, "2.5": 5_550,
    "3.0": 20_047, "3.5": 13_136, "4.0": 26_818, "4.5": 8_551, "5.0": 13_211,
}  # fmt: skip
GENRES = (
    "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir",
    "Horror", "IMAX", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
NO_GENRES = "(no genres listed)"  # the twentieth value: it says that there is no genre
FIRST_RATING, LAST_RATING = 828_124_615, 1_537_799_250  # 1996-03-29 and 2018-09-24, seconds UTC
FIRST_TAG = 1_137_179_352  # 2006-01-13

HEADERS = {
    "ratings": "userId,movieId,rating,timestamp",
    "movies": "movieId,title,genres",
    "tags": "userId,movieId,tag,timestamp",
    "links": "movieId,imdbId,tmdbId",
    "genome-tags": "tagId,tag",
    "genome-scores": "movieId,tagId,relevance",
}

# ---- dirt: one bad record per kind, made from the good record before it ----------------------------------------------
# {u} {m} {r} {t} {g} are fields of that record (see LETTERS). Quotes are balanced everywhere: a
# record that swallows the next line would make the number of bad records a matter of opinion.

LETTERS = {"userId": "u", "movieId": "m", "rating": "r", "timestamp": "t", "tagId": "g"}
RATING_DIRT = {
    "rating_zero": b"{u},{m},0.0,{t}",
    "rating_six": b"{u},{m},6.0,{t}",
    "rating_off_step": b"{u},{m},3.25,{t}",
    "rating_text": b"{u},{m},good,{t}",
    "rating_empty": b"{u},{m},,{t}",
    "user_id_over_int4": b"2147483648,{m},{r},{t}",
    "user_id_over_int8": b"9223372036854775808,{m},{r},{t}",
    "user_id_negative": b"-{u},{m},{r},{t}",
    "user_id_empty": b",{m},{r},{t}",
    "movie_id_negative": b"{u},-{m},{r},{t}",
    "timestamp_text": b"{u},{m},{r},yesterday",
    "timestamp_negative": b"{u},{m},{r},-{t}",
    "timestamp_milliseconds": b"{u},{m},{r},{t}000",
    "timestamp_empty": b"{u},{m},{r},",
    "too_few_fields": b"{u},{m},{r}",
    "too_many_fields": b"{u},{m},{r},{t},{t}",
    "backslash_dot": b"\\.",
}
TAG_DIRT = {
    "user_id_over_int4": b"2147483648,{m},lamplight,{t}",
    "movie_id_negative": b"{u},-{m},lamplight,{t}",
    "timestamp_text": b"{u},{m},lamplight,yesterday",
    "timestamp_milliseconds": b"{u},{m},lamplight,{t}000",
    "timestamp_empty": b"{u},{m},lamplight,",
    "too_few_fields": b"{u},{m},lamplight",
    "too_many_fields": b"{u},{m},lamplight,{t},{t}",
    "backslash_dot": b"\\.",
    "invalid_utf8": b"{u},{m},caf\xe9,{t}",  # Latin-1's e with acute accent
    "nul_byte": b"{u},{m},lamp\x00light,{t}",  # valid UTF-8 that Postgres cannot store
    "malformed_quotes": b'{u},{m},"lamp"light,{t}',
}
# {x} is the id of a film that no good record mentions: rejecting it must not change anything elsewhere.
STRANGE_FILM = 900_000_000
MOVIE_DIRT = {
    "title_empty": b"{x},,Drama",
    "movie_id_negative": b"-{x},Sunken Ladder (1971),Drama",
    "too_few_fields": b"{x},Sunken Ladder (1971)",
    "too_many_fields": b"{x},Sunken Ladder, The (1971),Drama",  # the forgotten quotes
    "invalid_utf8": b"{x},Caf\xe9 Ladder (1971),Drama",
}
LINK_DIRT = {
    "movie_id_over_int4": b"2147483648,0114709,862",
    "movie_id_negative": b"-{x},0114709,862",
    "tmdb_id_text": b"{x},0114709,unknown",
    "too_few_fields": b"{x},0114709",
    "too_many_fields": b"{x},0114709,862,862",
}
SCORE_DIRT = {
    "relevance_above_one": b"{m},{g},1.5",
    "relevance_negative": b"{m},{g},-0.1",
    "relevance_text": b"{m},{g},high",
    "relevance_nan": b"{m},{g},NaN",  # parses as a float, and every comparison with it is false
    "relevance_empty": b"{m},{g},",
    "too_few_fields": b"{m},{g}",
    "too_many_fields": b"{m},{g},0.5,0.5",
}

# ---- words -----------------------------------------------------------------------------------------------------------

ADJECTIVES = (
    "Amber", "Borrowed", "Broken", "Copper", "Crooked", "Distant", "Drowsy", "Eleventh", "Fading", "Folded", "Gentle",
    "Hollow", "Idle", "Ivory", "Jagged", "Kindly", "Last", "Lonesome", "Marble", "Misty", "Narrow", "Northern",
    "Obscure", "Painted", "Patient", "Quiet", "Restless", "Rusty", "Scarlet", "Second", "Silver", "Sunken", "Tidal",
    "Tin", "Uneven", "Velvet", "Wandering", "Weary", "Wooden", "Yonder",
)  # fmt: skip
NOUNS = (
    "Almanac", "Anchor", "Bakery", "Beacon", "Bridge", "Caravan", "Clockmaker", "Compass", "Corridor", "Dressmaker",
    "Engine", "Feather", "Ferry", "Garden", "Glacier", "Harvest", "Horizon", "Island", "Juggler", "Kettle", "Ladder",
    "Lantern", "Lighthouse", "Mirror", "Notebook", "Orchard", "Parade", "Pilot", "Postman", "Quarry", "Railway",
    "River", "Sailor", "Shadow", "Staircase", "Teacup", "Umbrella", "Violin", "Window", "Zeppelin", "Ember",
)  # fmt: skip
FOREIGN = (
    "Été à Quimper, L'",
    "Über den Dächern",
    "Señorita Niño",
    "Łódka",
    "Smørrebrød",
    "Città perduta, La",
    "夜の灯台",
)
TAG_WORDS = (
    "lamplight", "Lamplight", "slow burn", "SLOW BURN", "based on a letter", "sea voyage", "twist at the end",
    "lost, then found", "great score", "rainy", "one take", "to watch again", "déjà vu", "1970s", "2001", "null", "NA",
    "small town", "trains", "dry humor", '"artsy"', 'the "good" ending', "it's complicated", "naïve", "50% off",
)  # fmt: skip

ODD_TITLES = (
    "Harbor Nine", "Lantern Watch, The", "Yonder", "Kettle & Sons", "Second Pilot: The Series",  # no year
    "Copper Ferry (1994) ", "Sailor, A (2003) ", "Tin Horizon (1977) ", "Drowsy Quarry (2011) ",  # end in a blank
    "Quiet Railway (2006\u20132007)", "Island Parade, The (1998\u20132001)",  # en dash
    '"Velvet" Umbrella, The (1961)', "12'30\" to Zeppelin (1998)", 'Man Called "Kettle", A (2009)',
    "Silver Orchard (1980)", "Marble River (1996)", "Misty Corridor, The (2005)",  # each title under two ids
    "Silver Orchard (1980)", "Marble River (1996)", "Misty Corridor, The (2005)",
)  # fmt: skip
GENRES_BY_USE = (*GENRES, *["Drama"] * 8, *["Comedy"] * 7, *["Thriller"] * 3, *["Action"] * 3, *["Romance"] * 3)
