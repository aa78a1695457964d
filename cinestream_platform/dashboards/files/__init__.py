"""The list of landed files (``/files``), every version of them, with their states and the reasons for them."""
