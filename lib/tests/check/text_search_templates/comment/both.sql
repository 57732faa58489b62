create text search template t (lexize = dsimple_lexize);
