create collation c (locale = 'C');
