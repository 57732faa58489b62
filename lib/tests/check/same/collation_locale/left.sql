create collation c (locale = 'POSIX');
