create type b (input = b_in_2, output = b_out, internallength = variable);
