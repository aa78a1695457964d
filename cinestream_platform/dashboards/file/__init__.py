"""One file (``/files/<key>``): its versions, and every table and partition that it is in."""
