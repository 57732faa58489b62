alter type e add value 'b';
