alter text search configuration c drop mapping for email;
