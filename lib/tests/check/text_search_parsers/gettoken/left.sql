create text search parser p (start = prsd_start, gettoken = f, end = prsd_end, lextypes = prsd_lextype, headline = prsd_headline);
