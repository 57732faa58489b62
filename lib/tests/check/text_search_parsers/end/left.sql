create text search parser p (start = prsd_start, gettoken = prsd_nexttoken, end = f, lextypes = prsd_lextype, headline = prsd_headline);
