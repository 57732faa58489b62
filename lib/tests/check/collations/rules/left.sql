create collation c (provider = icu, locale = 'de', rules = '&a < g');
