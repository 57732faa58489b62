alter type r rename to t;
