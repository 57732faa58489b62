alter procedure p() owner to pum_a;
