"""Words of which several generators make invented titles and names."""

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
