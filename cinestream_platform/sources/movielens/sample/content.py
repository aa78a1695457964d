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
# {userId} and so on are fields of that record, {x} is the id of a film that no good record mentions. Quotes are
# balanced everywhere: a record that swallows the next line would make the number of bad records a matter of opinion.

RATING_DIRT = {
    "rating_zero": b"{userId},{movieId},0.0,{timestamp}",
    "rating_six": b"{userId},{movieId},6.0,{timestamp}",
    "rating_off_step": b"{userId},{movieId},3.25,{timestamp}",
    "rating_text": b"{userId},{movieId},good,{timestamp}",
    "rating_empty": b"{userId},{movieId},,{timestamp}",
    "user_id_over_int4": b"2147483648,{movieId},{rating},{timestamp}",
    "user_id_over_int8": b"9223372036854775808,{movieId},{rating},{timestamp}",
    "user_id_negative": b"-{userId},{movieId},{rating},{timestamp}",
    "user_id_empty": b",{movieId},{rating},{timestamp}",
    "movie_id_negative": b"{userId},-{movieId},{rating},{timestamp}",
    "timestamp_text": b"{userId},{movieId},{rating},yesterday",
    "timestamp_negative": b"{userId},{movieId},{rating},-{timestamp}",
    "timestamp_milliseconds": b"{userId},{movieId},{rating},{timestamp}000",
    "timestamp_empty": b"{userId},{movieId},{rating},",
    "too_few_fields": b"{userId},{movieId},{rating}",
    "too_many_fields": b"{userId},{movieId},{rating},{timestamp},{timestamp}",
    "backslash_dot": b"\\.",
}
TAG_DIRT = {
    "user_id_over_int4": b"2147483648,{movieId},lamplight,{timestamp}",
    "movie_id_negative": b"{userId},-{movieId},lamplight,{timestamp}",
    "timestamp_text": b"{userId},{movieId},lamplight,yesterday",
    "timestamp_milliseconds": b"{userId},{movieId},lamplight,{timestamp}000",
    "timestamp_empty": b"{userId},{movieId},lamplight,",
    "too_few_fields": b"{userId},{movieId},lamplight",
    "too_many_fields": b"{userId},{movieId},lamplight,{timestamp},{timestamp}",
    "backslash_dot": b"\\.",
    "invalid_utf8": b"{userId},{movieId},caf\xe9,{timestamp}",  # Latin-1's e with acute accent
    "nul_byte": b"{userId},{movieId},lamp\x00light,{timestamp}",  # valid UTF-8 that Postgres cannot store
    "malformed_quotes": b'{userId},{movieId},"lamp"light,{timestamp}',
}
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
    "relevance_above_one": b"{movieId},{tagId},1.5",
    "relevance_negative": b"{movieId},{tagId},-0.1",
    "relevance_text": b"{movieId},{tagId},high",
    "relevance_nan": b"{movieId},{tagId},NaN",  # parses as a float, and every comparison with it is false
    "relevance_empty": b"{movieId},{tagId},",
    "too_few_fields": b"{movieId},{tagId}",
    "too_many_fields": b"{movieId},{tagId},0.5,0.5",
}

# ---- words -----------------------------------------------------------------------------------------------------------

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
