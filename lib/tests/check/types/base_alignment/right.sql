create type b (input = b_in, output = b_out, internallength = variable);
