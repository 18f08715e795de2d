#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Perl: hashes, regular expressions, sort, growing strings, fork.
# needs: perl

cat >work.pl <<'END'
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);

my $state = 4711;
sub next_number { $state = ($state * 1103515245 + 12345) & 0x7fffffff; return $state >> 8 }

my %table;
for my $i (1 .. 150000) {
	my $key = "key" . next_number() % 30000;
	push @{ $table{$key} }, $i;
	delete $table{ "key" . next_number() % 30000 } if $i % 3 == 0;
}
my @order = sort { @{ $table{$b} } <=> @{ $table{$a} } || $a cmp $b } keys %table;
print "hash: ", scalar(@order), " $order[0] $order[-1] ",
	sha256_hex(join ",", map { "$_=@{ $table{$_} }" } @order), "\n";

my $text = "";
$text .= "entry $_ has value " . next_number() % 1000 . ";\n" for 1 .. 40000;
my $sum = 0;
$sum += $1 while $text =~ /value (\d+);/g;
(my $swapped = $text) =~ s/entry (\d+) has (\w+)/$2 of $1/g;
print "regex: $sum ", sha256_hex($swapped), "\n";
my @long = grep { /^(?=.*7)(?!.*9)e.*(\d)\1/ } split /\n/, $text;
print "split: ", scalar(@long), "\n";

my $grown = "";
for my $i (1 .. 200000) {
	$grown .= chr(97 + $i % 26);
	substr($grown, 10, 1000) = "-" if $i % 5000 == 0;
}
print "grown: ", length($grown), " ", sha256_hex($grown x 20), "\n";
my $wide = join "", map { chr(0x100 + $_ % 5000) } 1 .. 50000;
utf8::encode(my $bytes = $wide);
print "utf8: ", length($wide), " ", length($bytes), "\n";

my @matrix = map { my $r = $_; [ map { $r * $_ % 101 } 1 .. 300 ] } 1 .. 300;
my $trace = 0;
$trace += $matrix[$_][$_] for 0 .. 299;
print "matrix: $trace\n";
print "sort: ", (sort { $a <=> $b } map { next_number() } 1 .. 100000)[50000], "\n";
print "pack: ", unpack("%32C*", pack("N*", 1 .. 50000)), "\n";
print "sprintf: ", length(join "", map { sprintf "%-20s|%08x", $_, $_ } 1 .. 20000), "\n";

# Cycles that are broken and deep structures that are freed recursively.
my $chain;
$chain = { next => $chain, data => "x" x ($_ % 50) } for 1 .. 20000;
my $depth = 0;
for (my $n = $chain; $n; $n = $n->{next}) { $depth++ }
while ($chain) { $chain = delete $chain->{next} }
print "chain: $depth\n";

$| = 1;
my $total = 0;
for my $n (1 .. 30) {
	pipe(my $in, my $out) or die "pipe: $!";
	my $pid = fork() // die "fork: $!";
	if (!$pid) {
		my %own = map { $_ => "v" x $_ } 1 .. 400;
		print $out length(join "", values %own), "\n";
		close $out;
		exit($n % 5);
	}
	close $out;
	$total += <$in>;
	waitpid $pid, 0;
	$total += $? >> 8;
}
print "fork: $total\n";
print "command: ", `perl -e 'print join ",", map { \$_ * 3 } 1..10'`, "\n";
print "eval: ", eval(join "+", 1 .. 3000), "\n";
END

perl work.pl
PERL_HASH_SEED=0 perl -ne '$n{$_}++ for split /\W+/; END { print scalar(keys %n), "\n" }' work.pl
perl -e '@threads = map { [$_] } 1 .. 200000; undef @threads; print "freed at exit\n"'
