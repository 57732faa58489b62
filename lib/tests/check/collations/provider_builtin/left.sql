create collation c (provider = builtin, locale = 'C');
