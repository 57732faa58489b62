alter type e add value 'b' before 'c';
