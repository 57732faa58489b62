create text search template t (lexize = f);
