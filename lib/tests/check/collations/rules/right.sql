create collation c (provider = icu, locale = 'de');
