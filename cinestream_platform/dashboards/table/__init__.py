"""One table of the catalogue (``/catalog/<schema>.<table>``): meaning, columns, partitions, files, checks, SQL."""
