create type b (input = b_in, output = b_out, internallength = 8, element = int4);
