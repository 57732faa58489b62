create type b (input = b_in, output = b_out_2, internallength = variable);
