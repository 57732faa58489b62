alter type e rename to f;
