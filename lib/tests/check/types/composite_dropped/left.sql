alter type c drop attribute a;
