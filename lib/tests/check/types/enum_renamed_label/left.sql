alter type e rename value 'a' to 'A';
